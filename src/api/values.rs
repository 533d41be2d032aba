//! Scalar types of the API: quantities, durations and dates, as users write them.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// A Kubernetes quantity such as `250m`, `1`, `512Mi` or `1.5Gi`.
///
/// Written as a string, or as a bare number for whole units. It is passed on to Kubernetes as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl Quantity {
    /// The value in base units (cores, bytes), or `None` if the text is no quantity.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let text = self.0.as_str();
        let split = text
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(split);
        let factor = match suffix {
            "n" => 1e-9,
            "u" => 1e-6,
            "m" => 1e-3,
            "" => 1.0,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "P" => 1e15,
            "E" => 1e18,
            "Ki" => 1024.0,
            "Mi" => 1024f64.powi(2),
            "Gi" => 1024f64.powi(3),
            "Ti" => 1024f64.powi(4),
            "Pi" => 1024f64.powi(5),
            "Ei" => 1024f64.powi(6),
            _ => return None,
        };
        number.parse::<f64>().ok().map(|value| value * factor)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(D::Error::custom(format!(
                "expected a quantity, found {other}"
            ))),
        }
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A Kubernetes quantity such as 250m, 1, 512Mi or 1.5Gi.",
            "x-kubernetes-int-or-string": true,
            "pattern": "^[0-9]+(\\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
            "maxLength": 32,
        })
    }
}

/// A duration as Gateway API writes it: `30s`, `10m`, `1h30m`, `500ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DurationText(pub String);

impl DurationText {
    /// The duration, or `None` if the text is not one.
    #[must_use]
    pub fn value(&self) -> Option<Duration> {
        let mut rest = self.0.as_str();
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            total += match &rest[..unit] {
                "ms" => Duration::from_millis(number),
                "s" => Duration::from_secs(number),
                "m" => Duration::from_secs(number * 60),
                "h" => Duration::from_secs(number * 3600),
                _ => return None,
            };
            rest = &rest[unit..];
        }
        Some(total)
    }
}

impl JsonSchema for DurationText {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration such as 30s, 10m or 1h30m.",
            "type": "string",
            "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
            "maxLength": 32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_read_with_its_suffix() {
        for (text, value) in [
            ("250m", 0.25),
            ("1", 1.0),
            ("1.5", 1.5),
            ("512Mi", 536_870_912.0),
            ("2G", 2e9),
        ] {
            assert_eq!(Quantity(text.into()).value(), Some(value), "{text}");
        }
        assert_eq!(Quantity("1Xi".into()).value(), None);
        assert_eq!(Quantity("Mi".into()).value(), None);
    }

    #[test]
    fn a_quantity_may_be_written_as_a_number() {
        let quantity: Quantity = serde_json::from_str("2").unwrap();
        assert_eq!(quantity, Quantity("2".into()));
        assert!(serde_json::from_str::<Quantity>("{}").is_err());
    }

    #[test]
    fn a_duration_adds_up_its_parts() {
        assert_eq!(
            DurationText("1h30m".into()).value(),
            Some(Duration::from_mins(90))
        );
        assert_eq!(
            DurationText("1s500ms".into()).value(),
            Some(Duration::from_millis(1500))
        );
        for text in ["", "h", "5", "5d", "-1s"] {
            assert_eq!(DurationText(text.into()).value(), None, "{text}");
        }
    }
}

//! Checks objects against the CRD without a server: the structural schema as the API server reads it, and the CEL rules.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use kube_cel::{CompiledSchema, ErrorKind, Validator};
use regex::Regex;
use serde_json::Value;

/// What a rule says against an object.
#[derive(Debug)]
pub(crate) struct Objection {
    pub(crate) message: String,
    /// A rule that cannot be evaluated must not pass for one that refuses.
    pub(crate) is_verdict: bool,
}

/// Evaluates the CEL rules of the schema.
pub(crate) fn rules_against(schema: &CompiledSchema, object: &Value) -> Vec<Objection> {
    match Validator::new().validate_compiled(schema, object, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .into_iter()
            .map(|error| Objection {
                is_verdict: error.kind == ErrorKind::ValidationFailure,
                message: error.message,
            })
            .collect(),
    }
}

/// A violation of the structural schema: path, and the words of the API server.
pub(crate) type Violation = (String, &'static str);

/// Checks types, bounds, patterns, enumerations, required fields and keys of lists.
pub(crate) fn violations(schema: &Value, value: &Value, path: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    check(schema, value, path, &mut found);
    found
}

fn check(schema: &Value, value: &Value, path: &str, found: &mut Vec<Violation>) {
    let mut report = |phrase| found.push((path.to_owned(), phrase));
    if !has_type(schema, value) {
        report("must be of type");
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        report("Unsupported value");
    }
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|min| number < min) {
            report("should be greater than or equal to");
        }
        if schema["maximum"].as_f64().is_some_and(|max| number > max) {
            report("should be less than or equal to");
        }
    }
    if let Some(text) = value.as_str() {
        let length = u64::try_from(text.chars().count()).expect("a short text");
        if schema["minLength"].as_u64().is_some_and(|min| length < min) {
            report("should be at least");
        }
        if schema["maxLength"].as_u64().is_some_and(|max| length > max) {
            report("Too long");
        }
        if let Some(pattern) = schema["pattern"].as_str()
            && !matches(pattern, text)
        {
            report("should match");
        }
        if schema["format"] == "date-time" && text.parse::<k8s_openapi::jiff::Timestamp>().is_err()
        {
            report("must be of type date-time");
        }
    }
    let size = |max: &str, size: usize| {
        schema[max]
            .as_u64()
            .is_some_and(|max| u64::try_from(size).expect("a small number") > max)
    };
    match value {
        Value::Array(items) => {
            if size("maxItems", items.len()) {
                report("Too many");
            }
            let keys = schema["x-kubernetes-list-map-keys"].as_array();
            if let Some(key) = keys.and_then(|keys| keys[0].as_str()) {
                let mut seen = BTreeSet::new();
                for (index, item) in items.iter().enumerate() {
                    if !seen.insert(item[key].to_string()) {
                        found.push((format!("{path}[{index}]"), "Duplicate value"));
                    }
                }
            }
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(fields) => {
            if size("maxProperties", fields.len()) {
                report("Too many");
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().expect("a name");
                if !fields.contains_key(name) {
                    found.push((format!("{path}.{name}"), "Required value"));
                }
            }
            for (name, field) in fields {
                let property = schema["properties"]
                    .get(name)
                    .unwrap_or(&schema["additionalProperties"]);
                if property.is_object() {
                    check(property, field, &format!("{path}.{name}"), found);
                }
            }
        }
        _ => {}
    }
}

/// Patterns with counted repetitions are slow to compile, and each is asked often.
fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        static COMPILED: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) };
    }
    COMPILED.with_borrow_mut(|compiled| {
        compiled
            .entry(pattern.to_owned())
            .or_insert_with(|| Regex::new(pattern).expect("a pattern"))
            .is_match(text)
    })
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64();
    }
    match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    }
}

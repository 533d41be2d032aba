//! Writes the field reference of the CRD as Markdown.

use std::fmt::Write as _;

use portal_operator::api::{self, rules::RULES};
use serde_json::Value;

const HEAD: &str = "\
<!-- Generated from the CustomResourceDefinition by `make generate`. Do not edit. -->
# Reference of PortalPlatform

API version `portalplatform.dev/v1alpha1`, kind `PortalPlatform`, short name `portal`. A field without a default stays unset if
it is left out. `kubectl explain portal.spec` prints the same text.
";

/// The reference.
pub(crate) fn markdown() -> String {
    let crd = serde_json::to_value(api::crd()).expect("a CRD is plain data");
    let version = &crd["spec"]["versions"][0];
    let properties = &version["schema"]["openAPIV3Schema"]["properties"];
    let mut text = HEAD.to_owned();
    for part in ["spec", "status"] {
        section(&mut text, part, &properties[part]);
    }
    columns(&mut text, &version["additionalPrinterColumns"]);
    rules(&mut text);
    text
}

/// One object: its description, a table of its fields, and then the objects in it.
fn section(text: &mut String, path: &str, schema: &Value) {
    let level = "#".repeat((path.matches('.').count() + 2).min(4));
    let _ = write!(text, "\n{level} {path}\n\n");
    let _ = write!(text, "{}\n\n", paragraphs(&schema["description"]));
    text.push_str("| Field | Type | Default | Description |\n|---|---|---|---|\n");
    let mut inner = Vec::new();
    for (name, property) in fields(schema) {
        row(
            text,
            path,
            name,
            is_required(schema, name),
            property,
            &mut inner,
        );
    }
    for (path, schema) in inner {
        section(text, &path, schema);
    }
}

fn row<'a>(
    text: &mut String,
    path: &str,
    name: &str,
    required: bool,
    property: &'a Value,
    inner: &mut Vec<(String, &'a Value)>,
) {
    let (description, default) = split_default(property);
    let default = if required { "required".into() } else { default };
    let (node, suffix) = match property["type"].as_str() {
        Some("array") => (&property["items"], "[]"),
        _ => (property, ""),
    };
    let kind = type_text(property);
    let _ = writeln!(
        text,
        "| `{name}` | {} | {} | {} |",
        cell(&kind),
        cell(&default),
        cell(&description)
    );
    if node["properties"].is_null() {
        return;
    }
    // An object of a single plain field needs no section of its own.
    let only = fields(node).next().filter(|(_, field)| {
        node["properties"].as_object().map(serde_json::Map::len) == Some(1) && is_plain(field)
    });
    match only {
        Some((field, schema)) => row(
            text,
            path,
            &format!("{name}{suffix}.{field}"),
            is_required(node, field),
            schema,
            inner,
        ),
        None => inner.push((format!("{path}.{name}{suffix}"), node)),
    }
}

fn is_plain(schema: &Value) -> bool {
    !matches!(schema["type"].as_str(), Some("object" | "array"))
}

fn fields(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, property)| (name.as_str(), property))
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"]
        .as_array()
        .is_some_and(|names| names.iter().any(|required| required == name))
}

/// Takes the sentence that begins with `Default:` out of a description.
fn split_default(property: &Value) -> (String, String) {
    let description = paragraphs(&property["description"]);
    if let Some(default) = property.get("default") {
        return (description, format!("`{default}`"));
    }
    match description.find("Default:") {
        Some(start) => {
            let default = description[start + "Default:".len()..].trim();
            (
                description[..start].trim_end().to_owned(),
                default.trim_end_matches('.').to_owned(),
            )
        }
        None => (description, String::new()),
    }
}

fn type_text(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "quantity".into();
    }
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return "object, any fields".into();
    }
    let mut text = match schema["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}", element(&schema["items"])),
        "object" if !schema["additionalProperties"].is_null() => {
            format!("map of {}", element(&schema["additionalProperties"]))
        }
        other => other.to_owned(),
    };
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values
            .iter()
            .filter_map(Value::as_str)
            .map(|value| format!("`{value}`"))
            .collect();
        text = values.join(", ");
    }
    if let Some(format) = schema["format"].as_str().filter(|f| *f == "date-time") {
        text = format!("{text}, {format}");
    }
    let range = match (number(&schema["minimum"]), number(&schema["maximum"])) {
        (Some(min), Some(max)) => format!(", {min} to {max}"),
        (Some(min), None) => format!(", at least {min}"),
        (None, Some(max)) => format!(", at most {max}"),
        (None, None) => String::new(),
    };
    text.push_str(&range);
    for (bound, unit) in [
        ("maxItems", "items"),
        ("maxProperties", "entries"),
        ("maxLength", "characters"),
    ] {
        if let Some(max) = number(&schema[bound]) {
            let _ = write!(text, ", at most {max} {unit}");
        }
    }
    text
}

fn element(schema: &Value) -> String {
    let text = type_text(schema);
    match text.split_once(", ") {
        Some((kind, bounds)) => format!("{kind} ({bounds})"),
        None => text,
    }
}

/// A bound as a whole number: JSON Schema has floating point numbers only.
fn number(value: &Value) -> Option<String> {
    value.as_f64().map(|number| format!("{number:.0}"))
}

/// A description without its line breaks, which are those of the source.
fn paragraphs(description: &Value) -> String {
    description
        .as_str()
        .unwrap_or_default()
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", "<br>")
}

fn columns(text: &mut String, columns: &Value) {
    text.push_str(
        "\n## Columns of kubectl get\n\n| Column | Source | Description |\n|---|---|---|\n",
    );
    for column in columns.as_array().into_iter().flatten() {
        let wide = if column["priority"].as_i64().unwrap_or(0) > 0 {
            " (`-o wide`)"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "| {}{wide} | `{}` | {} |",
            column["name"].as_str().unwrap_or_default(),
            column["jsonPath"].as_str().unwrap_or_default(),
            cell(column["description"].as_str().unwrap_or_default())
        );
    }
}

fn rules(text: &mut String) {
    text.push_str(
        "\n## Validation rules\n\nChecked by the API server when an object is written, besides the types and bounds above.\n\n\
         | Field | Message |\n|---|---|\n",
    );
    for rule in RULES {
        let field = format!("{}{}", rule.at, rule.field);
        let field = if field.is_empty() {
            "metadata.name"
        } else {
            &field
        };
        let _ = writeln!(
            text,
            "| `{field}` | {} |",
            cell(&rule.message.replace('<', "&lt;"))
        );
    }
}

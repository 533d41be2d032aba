//! Values, their schema and the README say the same.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{CHART, root, try_template};

/// Paths of the leaves of a mapping.
fn leaves(
    value: &Value,
    path: &str,
    found: &mut BTreeSet<String>,
    is_whole: &dyn Fn(&str) -> bool,
) {
    match value.as_object() {
        Some(fields) if !fields.is_empty() && !is_whole(path) => {
            for (name, field) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(field, &path, found, is_whole);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

/// The properties of a JSON schema, and those in them.
fn properties(schema: &Value) -> Value {
    match schema["properties"].as_object() {
        Some(fields) => fields
            .iter()
            .map(|(name, field)| (name.clone(), properties(field)))
            .collect(),
        None => Value::Null,
    }
}

#[test]
fn every_value_is_in_the_schema_and_in_the_readme() {
    let read = |file: &str| fs::read_to_string(root().join(CHART).join(file)).unwrap();
    let values: Value = serde_yaml_ng::from_str(&read("values.yaml")).unwrap();
    let mut known = BTreeSet::new();
    let whole = ["podSecurityContext", "securityContext", "resources"];
    leaves(&values, "", &mut known, &|path| whole.contains(&path));

    let mut described: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    described = properties(&described);
    described.as_object_mut().unwrap().remove("global");
    let mut in_schema = BTreeSet::new();
    leaves(&described, "", &mut in_schema, &|path| {
        whole.contains(&path)
    });
    assert_eq!(in_schema, known);

    let readme = read("README.md");
    let in_readme: BTreeSet<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(in_readme, known);
    for bad in [
        "bogus=1",
        "image.digest=sha256:12",
        "log.format=xml",
        "rbac.aggregate=maybe",
    ] {
        assert!(try_template(&[bad]).is_err(), "{bad}");
    }
}

//! For each bound of the schema an object just inside and one just outside, made from objects that use every field.
#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};

use super::{
    examples::portal,
    inputs::{FULL, PATTERNS, Pattern},
    schema::schema,
};

/// An object, and what is wrong with it.
pub(crate) struct Case {
    /// Path in the schema and the bound.
    pub(crate) about: String,
    pub(crate) object: Value,
    /// Field and words of the refusal; `None`: it is admitted by the schema.
    pub(crate) refusal: Option<(String, &'static str)>,
}

/// The full objects themselves, which are admitted.
pub(crate) fn full() -> Vec<Value> {
    FULL.iter()
        .map(|text| portal("harbor", &serde_yaml_ng::from_str(text).expect("YAML")))
        .collect()
}

/// Every node of the spec's schema: its path in the schema, the base that uses it, where it is there, the node.
pub(crate) struct Site {
    pub(crate) schema_path: String,
    /// Number of the base, and JSON pointer; `None` if no base uses the field.
    pub(crate) place: Option<(usize, String)>,
    pub(crate) node: Value,
}

pub(crate) fn sites() -> Vec<Site> {
    let mut sites = Vec::new();
    let places: Vec<_> = (0..FULL.len())
        .map(|base| (base, "/spec".to_owned()))
        .collect();
    visit(
        &schema()["properties"]["spec"],
        "spec",
        &places,
        &full(),
        &mut sites,
    );
    sites
}

fn visit(
    node: &Value,
    path: &str,
    places: &[(usize, String)],
    bases: &[Value],
    sites: &mut Vec<Site>,
) {
    sites.push(Site {
        schema_path: path.to_owned(),
        place: places.first().cloned(),
        node: node.clone(),
    });
    let deeper = |step: &dyn Fn(&Value, &str) -> Vec<String>| -> Vec<(usize, String)> {
        places
            .iter()
            .flat_map(|(base, pointer)| {
                let value = bases[*base].pointer(pointer).expect("it was found there");
                step(value, pointer)
                    .into_iter()
                    .map(|pointer| (*base, pointer))
            })
            .collect()
    };
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        let inner = deeper(&|value, pointer| {
            value
                .get(name)
                .map(|_| format!("{pointer}/{name}"))
                .into_iter()
                .collect()
        });
        visit(property, &format!("{path}.{name}"), &inner, bases, sites);
    }
    if node["items"].is_object() {
        let inner = deeper(&|value, pointer| {
            let count = value.as_array().map_or(0, Vec::len);
            (0..count)
                .map(|index| format!("{pointer}/{index}"))
                .collect()
        });
        visit(&node["items"], &format!("{path}[]"), &inner, bases, sites);
    }
    if node["additionalProperties"].is_object() {
        let inner = deeper(&|value, pointer| {
            let keys = value
                .as_object()
                .into_iter()
                .flat_map(serde_json::Map::keys);
            keys.map(|key| format!("{pointer}/{}", key.replace('/', "~1")))
                .collect()
        });
        visit(
            &node["additionalProperties"],
            &format!("{path}{{}}"),
            &inner,
            bases,
            sites,
        );
    }
}

/// A case for each side of each bound.
pub(crate) fn cases() -> Vec<Case> {
    let bases = full();
    let mut cases = Vec::new();
    for site in sites() {
        let Some((base, pointer)) = &site.place else {
            continue;
        };
        let object = &bases[*base];
        let path = field_path(object, pointer);
        for (bound, value, phrase) in
            variants(&site.node, object.pointer(pointer).expect("a value"))
        {
            let field = match bound {
                "keys" => format!("{path}[1]"),
                _ => path.clone(),
            };
            let mut object = object.clone();
            *object.pointer_mut(pointer).expect("a value") = value;
            cases.push(Case {
                about: format!("{}: {bound}", site.schema_path),
                object,
                refusal: phrase.map(|phrase| (field, phrase)),
            });
        }
        for name in site.node["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            let mut object = object.clone();
            let parent = object.pointer_mut(pointer).and_then(Value::as_object_mut);
            parent.expect("an object").remove(name);
            cases.push(Case {
                about: format!("{}: {name} is required", site.schema_path),
                object,
                refusal: Some((format!("{path}.{name}"), "Required value")),
            });
        }
    }
    cases
}

/// A JSON pointer as the API server writes it.
fn field_path(object: &Value, pointer: &str) -> String {
    let mut path = String::new();
    let mut value = object;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/");
        value = if value.is_array() {
            path = format!("{path}[{step}]");
            &value[step.parse::<usize>().expect("an index")]
        } else {
            path = if path.is_empty() {
                step.clone()
            } else {
                format!("{path}.{step}")
            };
            &value[&step]
        };
    }
    path
}

type Variant = (&'static str, Value, Option<&'static str>);

fn variants(node: &Value, value: &Value) -> Vec<Variant> {
    let mut variants: Vec<Variant> = Vec::new();
    let wrong_type = if value.is_string() && node["x-kubernetes-int-or-string"] != true {
        json!(7)
    } else if value.is_object() {
        json!("text")
    } else {
        json!({})
    };
    if node["x-kubernetes-preserve-unknown-fields"] != true {
        variants.push(("type", wrong_type, Some("must be of type")));
    }
    for allowed in node["enum"].as_array().into_iter().flatten() {
        variants.push(("enum", allowed.clone(), None));
    }
    if node["enum"].is_array() {
        variants.push(("enum", json!("Bogus"), Some("Unsupported value")));
        variants.push(("enum", json!(""), Some("Unsupported value")));
    }
    if let Some(min) = whole(&node["minimum"]) {
        variants.push(("minimum", json!(min), None));
        variants.push((
            "minimum",
            json!(min - 1),
            Some("should be greater than or equal to"),
        ));
    }
    if let Some(max) = whole(&node["maximum"]) {
        variants.push(("maximum", json!(max), None));
        variants.push((
            "maximum",
            json!(max + 1),
            Some("should be less than or equal to"),
        ));
    }
    if node["format"] == "date-time" {
        variants.push((
            "format",
            json!("tomorrow"),
            Some("must be of type date-time"),
        ));
    }
    let pattern = node["pattern"].as_str().map(pattern);
    for text in pattern.into_iter().flat_map(|p| p.fit) {
        variants.push(("pattern", json!(text), None));
    }
    for text in pattern.into_iter().flat_map(|p| p.unfit) {
        variants.push(("pattern", json!(text), Some("should match")));
    }
    if node["minLength"].as_u64() == Some(1) {
        variants.push((
            "minLength",
            json!(""),
            Some("should be at least 1 chars long"),
        ));
    }
    if let Some(max) = size(&node["maxLength"]) {
        let long = pattern.map_or::<fn(usize) -> String, _>(|size| "a".repeat(size), |p| p.long);
        let is_bounded_anyway = pattern.is_some_and(|p| p.regex.contains("(h|m|s|ms)"));
        if !is_bounded_anyway && node["format"].is_null() {
            variants.push(("maxLength", json!(long(max)), None));
        }
        variants.push(("maxLength", json!(long(max + 1)), Some("Too long")));
    }
    if let Some(max) = size(&node["maxItems"]) {
        // A list keyed by an enumeration may have too few keys to be filled.
        let key = node["x-kubernetes-list-map-keys"][0].as_str();
        let keys = key.and_then(|key| node["items"]["properties"][key]["enum"].as_array());
        if keys.is_none_or(|keys| keys.len() >= max) {
            variants.push(("maxItems", copies(node, value, max), None));
        }
        variants.push(("maxItems", copies(node, value, max + 1), Some("Too many")));
        if key.is_some() {
            let twice = json!([value[0], value[0]]);
            variants.push(("keys", twice, Some("Duplicate value")));
        }
    }
    if let Some(max) = size(&node["maxProperties"]) {
        let many =
            |count: usize| -> Value { (0..count).map(|n| (format!("k{n}"), json!("v"))).collect() };
        variants.push(("maxProperties", many(max), None));
        variants.push(("maxProperties", many(max + 1), Some("Too many")));
    }
    variants
}

fn pattern(pattern: &str) -> &'static Pattern {
    PATTERNS
        .iter()
        .find(|known| known.regex == pattern)
        .unwrap_or_else(|| panic!("pattern {pattern} has no examples in PATTERNS"))
}

/// So many items like the first, each with a key of its own.
fn copies(node: &Value, value: &Value, count: usize) -> Value {
    let key = node["x-kubernetes-list-map-keys"][0].as_str();
    let first = &value[0];
    (0..count)
        .map(|index| {
            let mut item = first.clone();
            if let Some(key) = key {
                let names = node["items"]["properties"][key]["enum"].as_array();
                item[key] = match (names, item[key].as_str()) {
                    (Some(names), _) => names[index % names.len()].clone(),
                    (None, Some(text)) => json!(format!("{text}{index}")),
                    (None, None) => json!(index),
                };
            }
            item
        })
        .collect()
}

fn whole(value: &Value) -> Option<i64> {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "bounds are small whole numbers"
    )]
    value.as_f64().map(|number| number as i64)
}

fn size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}

//! Any spec that the schema admits becomes a plan and objects, or problems with their fields: never a panic, never a name that
//! Kubernetes refuses, never a pod that is not restricted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/offline.rs"]
mod offline;
#[path = "support/schema.rs"]
mod schema;

use offline::portal_of;
use portal_operator::{
    api::PortalPlatform,
    children,
    plan::{self, Facts, Plan},
};
use proptest::{
    prelude::*,
    strategy::{BoxedStrategy, Just, Union},
};
use serde_json::{Map, Value, json};

/// Texts that fit the patterns of the schema, and some that are odd within them.
fn text(schema: &Value) -> BoxedStrategy<Value> {
    let max = schema["maxLength"].as_u64().unwrap_or(20);
    let samples: &[&str] = match schema["pattern"].as_str() {
        Some(r"^[a-z]([-a-z0-9]*[a-z0-9])?$") => &["a", "b-c", "portal", "x".repeat(20).leak()],
        Some(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$") => &["a", "b-c", "0"],
        Some(r"^\S+:[0-9][^\s/]*$") => &["p:17", "a:b/c:18.1"],
        Some(r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$") => &["h.test", "10.0.0.1", "::1", "0"],
        Some(r"^[A-Za-z_][A-Za-z0-9_$-]*$") => &["a", "_$-"],
        Some(pattern) if pattern.starts_with(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.") => {
            &["h.test", "0"]
        }
        Some(pattern) if pattern.contains("(s3|gs)") => &[
            "s3://silo",
            "gs://silo/a/",
            "https://h.blob.core.windows.net/silo",
        ],
        Some(pattern) if pattern.starts_with("^https?:") => {
            &["http://silo:9000", "https://silo:99999/", "https://[::1]"]
        }
        Some(pattern) if pattern.ends_with("[0-6*/,-]+$") => {
            &["0 2 * * *", "0 0 31 2 *", "99 / , - 6", "*/5 * * * *"]
        }
        Some(r"^[1-9][0-9]{0,3}[dwm]$") => &["30d", "9999m"],
        Some(r"^[a-z0-9-]+$") => &["north-1", "-"],
        Some(pattern) if pattern.starts_with("^/(") => &["/", "/a", "/a/b~c"],
        Some(pattern) if pattern.starts_with("^/[") => &["/srv", "/etc/portal", "/tmp", "/a/b"],
        Some(r"^/\S*$") => &["/", "/a?b=c", "//"],
        Some(pattern) if pattern.contains("(n|u|m|k") => &[
            "1",
            "0",
            "250m",
            "1.5Gi",
            "99999999999999999999999999999999",
            "9n",
        ],
        Some(pattern) if pattern.contains("(h|m|s|ms)") => {
            &["0s", "10s", "99999h99999h99999h99999h", "1h30m15s500ms"]
        }
        Some(pattern) if pattern.contains("a-fA-F") => &["10.0.0.0/8", "::/0", "...../999", "1/0"],
        Some(pattern) if pattern.starts_with("^[A-Za-z_]") => &["A", "NODE_OPTIONS", "_.-", "PORT"],
        _ if schema["format"] == "date-time" => &[
            "2030-01-01T00:00:00Z",
            "2030-01-01T00:00:00.5+14:00",
            "soon",
        ],
        _ => &["a", "", "é", "\u{0}", "-", "\"", "a:b@c", "{{", "$(X)"],
    };
    let least = schema["minLength"].as_u64().unwrap_or(0);
    let fitting: Vec<Value> = samples
        .iter()
        .filter(|text| {
            let length = text.chars().count() as u64;
            (least..=max).contains(&length)
        })
        .map(|text| json!(text))
        .collect();
    proptest::sample::select(fitting).boxed()
}

/// Any value that a schema admits.
fn value(schema: &Value) -> BoxedStrategy<Value> {
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return proptest::sample::select(vec![
            json!({}),
            json!({"a": {"b": [1, null, "x"]}, "": {"é": 1.5}}),
            json!({"key: with #": "multi\nline\n"}),
        ])
        .boxed();
    }
    if let Some(allowed) = schema["enum"].as_array() {
        return proptest::sample::select(allowed.clone()).boxed();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        let number = prop_oneof![
            Just(json!(0)),
            Just(json!(-1)),
            Just(json!(3)),
            Just(json!(i64::MAX))
        ];
        return prop_oneof![text(schema), number].boxed();
    }
    match schema["type"].as_str() {
        Some("boolean") => any::<bool>().prop_map(|flag| json!(flag)).boxed(),
        Some("integer") => {
            let bound = |name: &str, other: i64| {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "bounds are small whole numbers"
                )]
                schema[name].as_f64().map_or(other, |number| number as i64)
            };
            let (min, max) = (bound("minimum", -5), bound("maximum", 100_000));
            prop_oneof![Just(min), Just(max), min..=max]
                .prop_map(|n| json!(n))
                .boxed()
        }
        Some("array") => list(schema),
        Some("object") if schema["properties"].is_object() => object(schema),
        Some("object") => {
            let values = value(&schema["additionalProperties"]);
            proptest::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3})?", values, 0..3)
                .prop_map(|map| json!(map))
                .boxed()
        }
        _ => text(schema),
    }
}

fn list(schema: &Value) -> BoxedStrategy<Value> {
    let key = schema["x-kubernetes-list-map-keys"][0]
        .as_str()
        .map(str::to_owned);
    proptest::collection::vec(value(&schema["items"]), 0..4)
        .prop_map(move |mut items| {
            if let Some(key) = &key {
                let mut seen = std::collections::BTreeSet::new();
                items.retain(|item| seen.insert(item[key].to_string()));
            }
            Value::Array(items)
        })
        .boxed()
}

fn object(schema: &Value) -> BoxedStrategy<Value> {
    let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
    let mut fields: BoxedStrategy<Map<String, Value>> = Just(Map::new()).boxed();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let some = value(property).prop_map(Some).boxed();
        let field = if required.iter().any(|r| r == name) {
            some
        } else {
            Union::new_weighted(vec![(1, Just(None).boxed()), (1, some)]).boxed()
        };
        let name = name.clone();
        fields = (fields, field)
            .prop_map(move |(mut map, field)| {
                if let Some(field) = field {
                    map.insert(name.clone(), field);
                }
                map
            })
            .boxed();
    }
    fields.prop_map(Value::Object).boxed()
}

fn specs() -> BoxedStrategy<Value> {
    value(&schema::schema()["properties"]["spec"])
        .prop_map(|mut spec| {
            // Half of all random specs would have both and be refused at once.
            let has_components = spec["components"]
                .as_array()
                .is_some_and(|list| !list.is_empty());
            if has_components {
                spec.as_object_mut().unwrap().remove("image");
            } else if spec.get("image").is_none() {
                spec["image"] = json!("a");
            }
            spec
        })
        .boxed()
}

fn plans(portal: &PortalPlatform) -> Vec<Plan> {
    [false, true]
        .into_iter()
        .filter_map(|session_persistence| {
            let facts = Facts {
                session_persistence,
                ..Facts::default()
            };
            plan::plan(portal, &facts).ok()
        })
        .chain(offline::started(portal).ok())
        .collect()
}

fn check(plan: &Plan) {
    let manifests = children::manifests(plan);
    let mut names = std::collections::BTreeSet::new();
    for manifest in &manifests {
        let name = &manifest.name;
        assert!(
            names.insert((manifest.kind.kind, name.clone())),
            "twice: {name}"
        );
        assert!(name.len() <= 63, "{name}");
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{name}"
        );
        assert!(
            name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-'),
            "{name}"
        );
        if manifest.kind.kind == "Deployment" {
            let pod = &manifest.body["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                "RuntimeDefault"
            );
            assert_eq!(pod["automountServiceAccountToken"], false);
            for container in pod["containers"].as_array().unwrap() {
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false);
                assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
                assert_eq!(security["readOnlyRootFilesystem"], true);
                for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                    assert_eq!(container[probe]["httpGet"].get("host"), None);
                }
            }
            for volume in pod["volumes"].as_array().unwrap() {
                let sources: Vec<_> = volume
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "name")
                    .collect();
                assert!(
                    sources.iter().all(
                        |source| ["configMap", "secret", "emptyDir"].contains(&source.as_str())
                    ),
                    "{sources:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spec_becomes_objects_or_problems(spec in specs()) {
        let portal = portal_of(&spec);
        let plans = plans(&portal);
        for plan in &plans {
            check(plan);
        }
        if let Err(problems) = plan::plan(&portal, &Facts::default()) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(problem.field.starts_with("spec."), "{}", problem.field);
                prop_assert!(!problem.message.is_empty());
            }
        }
        // The same spec gives the same objects.
        let digests = |plan: &Plan| -> Vec<u64> {
            children::manifests(plan).iter().map(|manifest| manifest.digest).collect()
        };
        let again = self::plans(&portal);
        prop_assert_eq!(plans.iter().map(digests).collect::<Vec<_>>(), again.iter().map(digests).collect::<Vec<_>>());
    }
}

/// Most random specs shall get as far as objects, or the test would show little.
#[test]
fn most_specs_can_be_carried_out() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = specs();
    let mut plans = 0;
    for _ in 0..100 {
        let spec = strategy.new_tree(&mut runner).unwrap().current();
        plans += usize::from(plan::plan(&portal_of(&spec), &Facts::default()).is_ok());
    }
    assert!(plans > 20, "{plans} of 100");
}

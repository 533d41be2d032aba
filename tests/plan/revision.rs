//! The revision, and that every field of the spec does something.

use portal_operator::{
    children,
    plan::{self, Facts, Plan},
};
use serde_json::{Value, json};

use crate::{
    bounds,
    offline::{first_plan_of, plan_of, portal, portal_of},
};

#[test]
fn the_revision_is_the_same_for_the_same_spec_whatever_the_state_of_the_portal() {
    let spec = "{preset: Backstage, image: a, host: h.test, database: {}, backup: {destination: {path: 's3://b', workloadIdentity: {}}}}";
    let revision = plan_of(spec).revision();
    assert_eq!(first_plan_of(spec).revision(), revision);
    let mut other = portal(spec);
    other.metadata.uid = Some("another".into());
    other.metadata.generation = Some(99);
    let facts = Facts {
        reload: [(("Secret", "s".to_owned()), 7)].into(),
        session_persistence: true,
        ..Facts::default()
    };
    assert_eq!(plan::plan(&other, &facts).unwrap().revision(), revision);
}

#[test]
fn suspending_changes_no_revision() {
    let suspended = plan_of("{image: a, suspend: true}");
    assert_eq!(suspended.revision(), plan_of("{image: a}").revision());
    assert!(suspended.suspended);
}

/// Fields that no object shows: they act in the status, or say again what is so already.
const NOT_IN_OBJECTS: [&str; 8] = [
    "spec.suspend",
    "spec.policies",
    "spec.profile",
    "spec.exposure.mode",
    "spec.components[].critical",
    "spec.database.mode",
    "spec.database.confirmDelete",
    "spec.database.external.maxConnections",
];

/// Another value that fits the schema.
fn another(node: &Value, value: &Value) -> Option<Value> {
    if node["x-kubernetes-preserve-unknown-fields"] == true {
        return Some(json!({"other": true}));
    }
    if let Some(allowed) = node["enum"].as_array() {
        return allowed.iter().find(|allowed| *allowed != value).cloned();
    }
    match value {
        Value::Bool(flag) => Some(json!(!flag)),
        Value::Number(number) => Some(json!(number.as_i64()? + 1)),
        Value::String(text) if node["x-kubernetes-int-or-string"] == true => {
            Some(json!(format!("1{text}")))
        }
        Value::String(text)
            if text.ends_with(['s', 'm', 'h'])
                && text.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Some(json!(format!("1{text}")))
        }
        Value::String(text) if text.ends_with(" *") => Some(json!(format!("1{text}"))),
        Value::String(text) if text.contains('/') && text.starts_with("10.") => {
            Some(json!("10.8.0.0/16"))
        }
        Value::String(text) => Some(json!(format!("{text}x"))),
        _ => None,
    }
}

fn resolve(object: &Value) -> Plan {
    let portal = portal_of(&object["spec"]);
    let facts = Facts {
        session_persistence: true,
        barman_plugin: true,
        ..Facts::default()
    };
    plan::plan(&portal, &facts).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn every_field_changes_an_object_and_the_revision() {
    let bases = bounds::full();
    let mut fields = 0;
    for site in bounds::sites() {
        let (base, pointer) = site.place.unwrap();
        let mut changed = bases[base].clone();
        let Some(value) = another(&site.node, changed.pointer(&pointer).unwrap()) else {
            continue;
        };
        *changed.pointer_mut(&pointer).unwrap() = value;
        fields += 1;
        let path = &site.schema_path;
        if NOT_IN_OBJECTS.iter().any(|exempt| path.starts_with(exempt)) {
            continue;
        }
        let (before, after) = (resolve(&bases[base]), resolve(&changed));
        let bodies = |plan: &Plan| -> Vec<Value> {
            children::manifests(plan)
                .into_iter()
                .map(|manifest| manifest.body)
                .collect()
        };
        assert!(bodies(&before) != bodies(&after), "{path} is ignored");
        assert_ne!(
            before.revision(),
            after.revision(),
            "{path} is not in the revision"
        );
    }
    assert!(fields > 80, "{fields} fields");
}

#[test]
fn a_changed_secret_rolls_the_components_that_use_it_and_no_other() {
    let spec = "{components: [{name: user, image: a, envFrom: [{secretRef: {name: keys}}]}, {name: other, image: a}]}";
    let digests = |version: u64| -> Vec<String> {
        let facts = Facts {
            reload: [
                (("Secret", "keys".to_owned()), version),
                (("Secret", "unused".to_owned()), version),
            ]
            .into(),
            ..Facts::default()
        };
        let plan = plan::plan(&portal(spec), &facts).unwrap();
        plan.components
            .iter()
            .map(|c| c.config_digest(&plan))
            .collect()
    };
    let (before, after) = (digests(1), digests(2));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn every_way_to_use_a_secret_or_config_map_counts_as_use() {
    for (kind, usage) in [
        (
            "Secret",
            "components: [{name: a, image: a, envFrom: [{secretRef: {name: it}}]}]",
        ),
        (
            "ConfigMap",
            "components: [{name: a, image: a, envFrom: [{configMapRef: {name: it}}]}]",
        ),
        (
            "Secret",
            "components: [{name: a, image: a, env: [{name: X, valueFrom: {secretKeyRef: {name: it, key: k}}}]}]",
        ),
        (
            "ConfigMap",
            "components: [{name: a, image: a, env: [{name: X, valueFrom: {configMapKeyRef: {name: it, key: k}}}]}]",
        ),
        (
            "Secret",
            "image: a, config: {files: [{secretRef: {name: it}, mountPath: /x}]}",
        ),
        (
            "ConfigMap",
            "image: a, config: {files: [{configMapRef: {name: it}, mountPath: /x}]}",
        ),
    ] {
        let facts = Facts {
            reload: [((kind, "it".to_owned()), 5)].into(),
            ..Facts::default()
        };
        let plan = plan::plan(&portal(&format!("{{{usage}}}")), &facts).unwrap();
        assert_eq!(plan.components[0].reload, [5], "{usage}");
    }
}

#[test]
fn a_changed_configuration_rolls_the_pods() {
    let digest = |title: &str| {
        let plan = plan_of(&format!(
            "{{image: a, config: {{appConfig: {{title: {title}}}}}}}"
        ));
        plan.components[0].config_digest(&plan)
    };
    assert_ne!(digest("one"), digest("two"));
    assert_eq!(digest("one"), digest("one"));
}

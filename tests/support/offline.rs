//! Portals and plans without a cluster. Names differ from those of the product, so that swapped values are noticed.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeSet;

use portal_operator::{
    api::PortalPlatform,
    children::{self, Manifest},
    plan::{self, Facts, Plan, SpecProblem},
};
use serde_json::{Value, json};

/// Uid of every portal here.
pub(crate) const UID: &str = "uid-of-harbor";

/// A portal from the YAML of its spec.
pub(crate) fn portal(spec: &str) -> PortalPlatform {
    portal_of(&serde_yaml_ng::from_str(spec).unwrap_or_else(|error| panic!("{spec}: {error}")))
}

/// A portal from its spec. It has no database unless the spec says so.
pub(crate) fn portal_of(spec: &Value) -> PortalPlatform {
    let mut spec = spec.clone();
    if spec["database"].is_null() {
        spec["database"] = json!({"mode": "None"});
    }
    let object = json!({
        "apiVersion": "portalplatform.dev/v1alpha1",
        "kind": "PortalPlatform",
        "metadata": {"name": "harbor", "namespace": "docks", "uid": UID, "generation": 3},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap_or_else(|error| panic!("{spec}: {error}"))
}

/// The plan of a portal whose first start is over.
pub(crate) fn started(portal: &PortalPlatform) -> Result<Plan, Vec<SpecProblem>> {
    let first = plan::plan(portal, &Facts::default())?;
    plan::plan(
        portal,
        &Facts {
            started: first.components.iter().map(|c| c.name.clone()).collect(),
            barman_plugin: true,
            ..Facts::default()
        },
    )
}

/// The same from the YAML of a spec that can be carried out.
pub(crate) fn plan_of(spec: &str) -> Plan {
    started(&portal(spec)).unwrap_or_else(|problems| panic!("{spec}: {problems:?}"))
}

/// The plan of a portal that is about to start for the first time.
pub(crate) fn first_plan_of(spec: &str) -> Plan {
    let facts = Facts {
        started: BTreeSet::new(),
        ..Facts::default()
    };
    plan::plan(&portal(spec), &facts).unwrap_or_else(|problems| panic!("{spec}: {problems:?}"))
}

/// The body of one object of a plan.
pub(crate) fn object(plan: &Plan, kind: &str, name: &str) -> Value {
    find(plan, kind, name).unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// The body of one object of a plan, if there is such.
pub(crate) fn find(plan: &Plan, kind: &str, name: &str) -> Option<Value> {
    children::manifests(plan)
        .into_iter()
        .find(|manifest| manifest.kind.kind == kind && manifest.name == name)
        .map(|manifest| manifest.body)
}

/// Kinds and names of a plan's objects.
pub(crate) fn names(manifests: &[Manifest]) -> Vec<String> {
    manifests
        .iter()
        .map(|manifest| format!("{}/{}", manifest.kind.kind, manifest.name))
        .collect()
}

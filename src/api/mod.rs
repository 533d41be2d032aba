//! The API: what users write (`spec`), what they read (`status`), and the rules between.

pub mod backup;
pub mod database;
pub mod rules;
pub mod spec;
pub mod status;
pub mod values;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

pub use spec::PortalPlatform;

/// Group of the API.
pub const GROUP: &str = "portalplatform.dev";

/// The CustomResourceDefinition of `PortalPlatform`: the schema derived from the types, the rules of [`rules`], and the
/// status default that makes GitOps tools wait for the first reconcile.
///
/// # Panics
/// Never for the types of this crate: every test that touches the CRD calls it.
#[must_use]
#[allow(
    clippy::expect_used,
    reason = "a constant of the program, covered by tests"
)]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(PortalPlatform::crd()).expect("a CRD is plain data");
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        tidy(schema);
        rules::inject(schema);
        schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
    }
    serde_json::from_value(crd).expect("the amended CRD is still a CRD")
}

/// Takes out what schemars says and Kubernetes has no use for: `nullable` (an optional field is left out, not set to null;
/// CEL's `has()` would call a null field present) and null among allowed values, formats it does not know, and `additionalProperties: true`, beside which
/// the fields of an open object would be rejected.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.retain(|key, value| match key.as_str() {
                "nullable" | "additionalProperties" => *value != true,
                "format" => value
                    .as_str()
                    .is_none_or(|format| !format.starts_with("uint")),
                _ => true,
            });
            if let Some(Value::Array(allowed)) = map.get_mut("enum") {
                allowed.retain(|value| !value.is_null());
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = unwrapped(text);
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A text whose lines were wrapped for the source, with one line a paragraph: kubectl wraps it anew.
fn unwrapped(text: &str) -> String {
    text.split("\n\n")
        .map(|paragraph| {
            paragraph
                .split('\n')
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n\n")
}

//! The generated files are those that the code generates. `make generate` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/reference.rs"]
mod reference;

use std::{fs, path::Path};

use portal_operator::{api, cli};
use serde_json::Value;

/// Compares a file of the checkout with what was generated, or writes it if the variable UPDATE is set.
fn check(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, generated).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "{} is out of date; run: make generate",
        path.display()
    );
}

#[test]
fn the_crd_is_up_to_date() {
    check(
        "crds/portalplatforms.portalplatform.dev.yaml",
        &cli::crd::text().unwrap(),
    );
}

#[test]
fn the_crd_of_the_chart_is_up_to_date() {
    check(
        "charts/portal-operator/files/portalplatforms.portalplatform.dev.yaml",
        &cli::crd::text().unwrap(),
    );
}

#[test]
fn the_reference_is_up_to_date() {
    check("docs/reference.md", &reference::markdown());
}

/// Every node of the schema with its path.
fn nodes<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    found.push((path.to_owned(), schema));
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        nodes(&format!("{path}.{name}"), property, found);
    }
    if schema["items"].is_object() {
        nodes(&format!("{path}[]"), &schema["items"], found);
    }
    if schema["additionalProperties"].is_object() {
        nodes(
            &format!("{path}{{}}"),
            &schema["additionalProperties"],
            found,
        );
    }
}

fn schema() -> Value {
    let crd = serde_json::to_value(api::crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn every_field_is_described_and_of_a_format_that_kubernetes_knows() {
    let schema = schema();
    let mut found = Vec::new();
    for part in ["spec", "status"] {
        nodes(part, &schema["properties"][part], &mut found);
    }
    for (path, node) in &found {
        let is_element = path.ends_with("[]") || path.ends_with("{}");
        assert!(
            node["description"].is_string() || is_element,
            "{path} has no description"
        );
        if let Some(format) = node.get("format") {
            assert!(
                ["int32", "int64", "date-time"].contains(&format.as_str().unwrap()),
                "{path} has format {format}"
            );
        }
        assert!(node.get("nullable").is_none(), "{path} is nullable");
    }
}

#[test]
fn every_string_list_and_map_of_the_spec_is_bounded() {
    let schema = schema();
    let mut found = Vec::new();
    nodes("spec", &schema["properties"]["spec"], &mut found);
    for (path, node) in &found {
        let bound = match node["type"].as_str() {
            Some("string") if node["enum"].is_null() => "maxLength",
            Some("array") => "maxItems",
            Some("object") if node["additionalProperties"].is_object() => "maxProperties",
            Some("integer") => "minimum",
            _ => continue,
        };
        assert!(node[bound].is_number(), "{path} has no {bound}");
    }
}

#[test]
fn unknown_fields_are_rejected_everywhere_but_in_app_config() {
    let schema = schema();
    let mut found = Vec::new();
    nodes("", &schema, &mut found);
    let open: Vec<_> = found
        .iter()
        .filter(|(_, node)| node["x-kubernetes-preserve-unknown-fields"] == true)
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(open, [".spec.config.appConfig"]);
}

/// A Gateway is the only object of another namespace that a portal may name: Gateway API asks its owner for consent.
#[test]
fn only_a_gateway_is_referred_to_across_namespaces() {
    let schema = schema();
    let mut found = Vec::new();
    nodes("spec", &schema["properties"]["spec"], &mut found);
    let with_namespace: Vec<_> = found
        .iter()
        .filter(|(path, _)| path.to_lowercase().ends_with("namespace"))
        .map(|(path, _)| path.as_str())
        .collect();
    // The others select peers of a NetworkPolicy, which gives the portal nothing of theirs.
    assert_eq!(
        with_namespace,
        [
            "spec.exposure.controllerNamespace",
            "spec.exposure.gatewayRef.namespace",
            "spec.network.allowedClients[].namespace",
            "spec.network.allowedDestinations[].namespace",
        ]
    );
    // Nothing of a pod is free form, so a portal's owner gains no power that its namespace does not have.
    for (path, _) in &found {
        let last = path.rsplit('.').next().unwrap();
        assert!(
            ![
                "podSpec",
                "template",
                "serviceAccountName",
                "hostPath",
                "securityContext"
            ]
            .contains(&last),
            "{path}"
        );
    }
}

#[test]
fn a_new_object_says_that_it_was_never_looked_at() {
    assert_eq!(
        schema()["properties"]["status"]["default"],
        serde_json::json!({"observedGeneration": -1})
    );
}

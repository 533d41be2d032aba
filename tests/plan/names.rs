//! Names, labels and owners of everything that is made.

use portal_operator::{children, plan, plan::Facts};
use serde_json::json;

use crate::offline::{UID, names, plan_of, portal, started};

/// A portal that has an object of every kind.
const EVERYTHING: &str = "{host: h.test, components: [{name: crane, image: a, path: /}, {name: depot, image: a}], config: {appConfig: {a: 1}}, exposure: {tls: {issuerRef: {name: i}}}}";

#[test]
fn an_object_is_called_after_the_portal_and_the_component() {
    let manifests = children::manifests(&plan_of(EVERYTHING));
    assert_eq!(
        names(&manifests),
        [
            "ServiceAccount/harbor",
            "ConfigMap/harbor-crane",
            "ConfigMap/harbor-depot",
            "ConfigMap/harbor-config",
            "NetworkPolicy/harbor-crane",
            "NetworkPolicy/harbor-depot",
            "Certificate/harbor",
            "Service/harbor-crane",
            "Service/harbor-depot",
            "Deployment/harbor-crane",
            "Deployment/harbor-depot",
            "HorizontalPodAutoscaler/harbor-crane",
            "HorizontalPodAutoscaler/harbor-depot",
            "PodDisruptionBudget/harbor-crane",
            "PodDisruptionBudget/harbor-depot",
            "Ingress/harbor",
        ]
    );
}

#[test]
fn the_longest_names_fit_into_a_dns_label() {
    let mut portal = portal(&EVERYTHING.replace("crane", &"c".repeat(20)));
    portal.metadata.name = Some("h".repeat(40));
    let plan = started(&portal).unwrap();
    for manifest in children::manifests(&plan) {
        assert!(manifest.name.len() <= 63, "{}", manifest.name);
        for (key, value) in manifest.body["metadata"]["labels"].as_object().unwrap() {
            assert!(value.as_str().unwrap().len() <= 63, "{key}");
        }
    }
    assert!(plan.identity.tls_secret_name().len() <= 63);
}

#[test]
fn a_name_that_no_service_can_have_is_a_problem() {
    for name in [
        "h".repeat(41),
        "2harbor".into(),
        "harbor.north".into(),
        "harbor-".into(),
        String::new(),
    ] {
        let mut portal = portal("{image: a}");
        portal.metadata.name = Some(name.clone());
        let problems = plan::plan(&portal, &Facts::default()).unwrap_err();
        assert_eq!(problems[0].field, "metadata.name", "{name}");
        assert!(problems[0].message.contains("at most 40 characters"));
    }
}

#[test]
fn every_object_is_labelled_owned_and_in_the_namespace() {
    let mut portal = portal(EVERYTHING);
    // What GitOps tools track by must not be found on children, or they would be pruned.
    portal.metadata.labels = Some([("app.kubernetes.io/instance".into(), "argo".into())].into());
    portal.metadata.annotations =
        Some([("argocd.argoproj.io/tracking-id".into(), "argo".into())].into());
    for manifest in children::manifests(&started(&portal).unwrap()) {
        let metadata = &manifest.body["metadata"];
        let labels = &metadata["labels"];
        assert_eq!(metadata["namespace"], "docks");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "portal-operator");
        assert_eq!(labels["app.kubernetes.io/part-of"], "harbor");
        assert_eq!(labels["portalplatform.dev/name"], "harbor");
        assert!(labels.get("app.kubernetes.io/instance").is_none());
        assert!(metadata.get("annotations").is_none(), "{}", manifest.name);
        assert_eq!(
            metadata["ownerReferences"],
            json!([{
                "apiVersion": "portalplatform.dev/v1alpha1",
                "kind": "PortalPlatform",
                "name": "harbor",
                "uid": UID,
                "controller": true,
            }])
        );
        let component = labels["portalplatform.dev/component"].as_str();
        assert_eq!(
            component.is_some(),
            manifest.name.contains("crane") || manifest.name.contains("depot")
        );
        assert_eq!(labels["app.kubernetes.io/component"].as_str(), component);
    }
}

#[test]
fn the_selector_of_each_workload_is_its_own() {
    let plan = plan_of(EVERYTHING);
    let selector = |component: &str| json!({"portalplatform.dev/name": "harbor", "portalplatform.dev/component": component});
    for component in ["crane", "depot"] {
        let name = format!("harbor-{component}");
        let deployment = crate::offline::object(&plan, "Deployment", &name);
        assert_eq!(
            deployment["spec"]["selector"]["matchLabels"],
            selector(component)
        );
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        for (key, value) in selector(component).as_object().unwrap() {
            assert_eq!(labels[key], *value);
        }
        let service = crate::offline::object(&plan, "Service", &name);
        assert_eq!(service["spec"]["selector"], selector(component));
    }
}

#[test]
fn every_problem_of_a_spec_is_told_at_once() {
    let portal = portal(
        "{components: [{name: a, image: a, resources: {requests: {memory: 3Gi}, limits: {memory: 1Gi}}, probes: {startup: {timeout: 3h}}}, {name: b, image: a, resources: {limits: {cpu: 0}}}], policies: [{name: ImagePinned, waiver: {reason: r, until: soon}}]}",
    );
    let problems = plan::plan(&portal, &Facts::default()).unwrap_err();
    let fields: Vec<_> = problems
        .iter()
        .map(|problem| problem.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.policies[ImagePinned].waiver.until",
            "spec.components[a].resources",
            "spec.components[a].probes.startup.timeout",
            "spec.components[b].resources",
        ]
    );
}

#[test]
fn neither_image_nor_components_is_a_problem() {
    for spec in ["{}", "{image: a, components: [{name: c, image: c}]}"] {
        let problems = plan::plan(&portal(spec), &Facts::default()).unwrap_err();
        assert_eq!(problems[0].field, "spec.image");
    }
}

#[test]
fn a_configuration_that_no_config_map_holds_is_a_problem() {
    let spec = format!(
        "{{image: a, config: {{appConfig: {{text: \"{}\"}}}}}}",
        "x".repeat(1_000_000)
    );
    let problems = plan::plan(&portal(&spec), &Facts::default()).unwrap_err();
    assert_eq!(problems[0].field, "spec.config.appConfig");
    assert!(
        problems[0].message.contains("config.files"),
        "{}",
        problems[0].message
    );
}

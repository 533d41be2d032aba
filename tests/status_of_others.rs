//! What others say of a portal's objects (a Gateway, cert-manager, an autoscaler, an admission policy) is told in its status in
//! their words, with the next step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Space, condition,
    controllers::{certificate_status, route_status},
    samples,
    sentences::{behaving, demand, told},
    space::PATIENCE,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_policy_that_refuses_a_child_is_told_in_its_own_words() {
    let (space, _operator) = Space::with_operator("sentence-policy").await;
    let name = space.namespace.clone();
    let all = |kind: &str| {
        kube::Api::<kube::api::DynamicObject>::all_with(
            space.client.clone(),
            &support::resource(kind),
        )
    };
    let params = kube::api::PostParams::default();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["deployments"],
            }]},
            "validations": [{"expression": "false", "message": "images come from ghcr.io here"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": name},
            }},
        },
    });
    for (kind, manifest) in [
        ("ValidatingAdmissionPolicy", policy),
        ("ValidatingAdmissionPolicyBinding", binding),
    ] {
        let object = serde_json::from_value(manifest).unwrap();
        all(kind).create(&params, &object).await.unwrap();
    }
    // It takes the server a moment to put it in force.
    let labels = json!({"app": "probe"});
    let probe: kube::api::DynamicObject = serde_json::from_value(json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "probe"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "probe", "image": "registry.local/probe:1"}]},
            },
        },
    }))
    .unwrap();
    let dry = kube::api::PostParams {
        dry_run: true,
        ..kube::api::PostParams::default()
    };
    let deployments = space.api("Deployment");
    space
        .wait_for(PATIENCE, "the policy is in force", || async {
            deployments.create(&dry, &probe).await.err().map(|_| ())
        })
        .await;

    space.apply_portal_value(behaving("portal", "1")).await;
    let message = space.wait_unready("portal", "Refused").await;
    demand(
        &message,
        &[
            "Deployment portal-app was not written",
            "images come from ghcr.io here",
            "correct the field or the policy named",
        ],
    );
    for kind in [
        "ValidatingAdmissionPolicyBinding",
        "ValidatingAdmissionPolicy",
    ] {
        let params = kube::api::DeleteParams::default();
        all(kind).delete(&name, &params).await.unwrap();
    }
    space.wait_ready("portal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_ready_is_told_in_cert_managers_words() {
    let (space, _operator) = Space::with_operator("sentence-tls").await;
    space.apply_portal_value(samples::ingress()).await;
    told(
        &space,
        "portal",
        "CertificatePending",
        false,
        &[
            "Certificate portal",
            "cert-manager has not answered yet",
            "check that it runs",
        ],
    )
    .await;
    let certificate = space.get("Certificate", "portal").await;
    let words = "Referenced \"ClusterIssuer\" not found";
    let status = certificate_status(&certificate, "False", "DoesNotExist", words);
    space.merge_status("Certificate", "portal", status).await;
    told(
        &space,
        "portal",
        "CertificateNotReady",
        false,
        &[
            "Certificate portal: DoesNotExist",
            words,
            "kubectl describe certificate portal",
        ],
    )
    .await;
    // Its pods start meanwhile.
    space
        .wait_portal("portal", "serves and is not exposed", |portal| {
            condition(portal, "Exposed")["status"] == "False"
                && condition(portal, "Available")["status"] == "True"
        })
        .await;

    let status = certificate_status(&certificate, "True", "Ready", "");
    space.merge_status("Certificate", "portal", status).await;
    let portal = space.wait_ready("portal").await;
    let exposed = condition(&portal, "Exposed");
    assert_eq!(exposed["status"], "Unknown");
    demand(
        exposed["message"].as_str().unwrap(),
        &["Ingress portal has no address", "ingressClassName"],
    );

    let address = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    space.merge_status("Ingress", "portal", address).await;
    space
        .wait_portal("portal", "is exposed", |portal| {
            condition(portal, "Exposed")["status"] == "True"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_a_gateway_refuses_is_told_in_its_words() {
    let (space, _operator) = Space::with_operator("sentence-route").await;
    space.apply_portal_value(samples::gateway()).await;
    told(
        &space,
        "portal",
        "NotPickedUp",
        false,
        &[
            "HTTPRoute portal",
            "Gateway infra/public",
            "check exposure.gatewayRef",
        ],
    )
    .await;
    let cases = [
        (
            "Accepted",
            "NotAllowedByListeners",
            "allowedRoutes.namespaces",
        ),
        ("Accepted", "NoMatchingListenerHostname", "spec.host"),
        (
            "ResolvedRefs",
            "RefNotPermitted",
            "look at the HTTPRoute's status",
        ),
    ];
    for (type_, reason, advice) in cases {
        let route = space.get("HTTPRoute", "portal").await;
        let status = route_status(&route, type_, "False", reason, "not here");
        space.merge_status("HTTPRoute", "portal", status).await;
        space
            .wait_portal("portal", reason, |portal| {
                let message = condition(portal, "Ready")["message"].clone();
                message
                    .as_str()
                    .is_some_and(|message| message.contains(reason))
            })
            .await;
        told(
            &space,
            "portal",
            "RouteRefused",
            false,
            &[
                "HTTPRoute portal is refused by Gateway infra/public",
                "not here",
                advice,
            ],
        )
        .await;
    }
    let route = space.get("HTTPRoute", "portal").await;
    let status = route_status(&route, "Accepted", "True", "Accepted", "");
    space.merge_status("HTTPRoute", "portal", status).await;
    let portal = space.wait_ready("portal").await;
    assert_eq!(condition(&portal, "Exposed")["reason"], "Accepted");

    // A verdict on an older spec is none on this one.
    let mut edited = samples::gateway();
    edited["spec"]["host"] = json!("other.example.com");
    space.apply_portal_value(edited).await;
    told(
        &space,
        "portal",
        "NotPickedUp",
        false,
        &["has not judged it yet"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_without_metrics_is_told_in_its_policy() {
    let (space, _operator) = Space::with_operator("sentence-hpa").await;
    let mut portal = behaving("portal", "1");
    portal["spec"]["profile"] = json!("Staging");
    space.apply_portal_value(portal).await;
    // Pods have metrics only some 20 seconds after their start.
    let portal = space
        .wait_portal("portal", "tells of missing metrics", |portal| {
            policy(portal, "Autoscaling")["reason"] == "NoMetrics"
        })
        .await;
    let told = policy(&portal, "Autoscaling");
    assert_eq!(told["status"], "False");
    demand(
        told["message"].as_str().unwrap(),
        &[
            "HorizontalPodAutoscaler portal-app cannot scale",
            "check that a metrics server runs",
        ],
    );
    space.wait_ready("portal").await;
    space
        .wait_for(Duration::from_secs(90), "metrics arrive", || async {
            let portal = space.portal("portal").await;
            (policy(&portal, "Autoscaling")["status"] == "True").then_some(())
        })
        .await;
}

fn policy(portal: &Value, name: &str) -> Value {
    portal["status"]["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|policy| policy["name"] == name)
        .cloned()
        .unwrap_or_default()
}

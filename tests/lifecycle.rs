//! A portal from its creation to its end: suspended, resumed, deleted, and what its status says of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/faults.rs"]
mod faults;
mod support;

use std::sync::Arc;

use faults::{Fault, Faults};
use serde_json::{Value, json};
use support::{
    Bed, Operator, OperatorOptions, Space, condition, samples,
    shape::{difference, shape},
    space::PATIENCE,
};
use tokio::sync::Notify;

/// Creates a portal whose three pods run in the end.
async fn create_and_wait(space: &Space) {
    space.apply_portal_value(samples::ingress()).await;
    space
        .wait_object("Deployment", "portal-app", "runs", |found| {
            found["status"]["readyReplicas"] == 3
        })
        .await;
}

async fn all_gone(space: &Space) {
    space
        .wait_for(PATIENCE, "nothing is left", || async {
            let left = space.child_names().await;
            let pods = space.list("Pod").await;
            (left.is_empty() && pods.is_empty()).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_portal_is_observed_and_not_touched_and_resuming_repairs_it() {
    let (space, operator) = Space::with_operator("suspend").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let service = space.get("Service", "portal-app").await;
    let account = space.get("ServiceAccount", "portal").await;
    let written = operator.child_writes().len();

    let mut portal = samples::small();
    portal["spec"]["suspend"] = json!(true);
    portal["spec"]["image"] = json!("registry.local/app:2");
    space.apply_portal_value(portal.clone()).await;
    let status = space.wait_ready("portal").await;
    let ready = condition(&status, "Ready");
    assert_eq!(ready["reason"], "Suspended");
    assert!(
        ready["message"].as_str().unwrap().contains("spec.suspend"),
        "{ready}"
    );

    space.delete("Service", "portal-app").await;
    space
        .merge(
            "ServiceAccount",
            "portal",
            json!({"automountServiceAccountToken": true}),
        )
        .await;
    space.scale("portal-app", 0).await;
    // It goes on observing.
    space
        .wait_portal("portal", "shows that nothing is available", |portal| {
            condition(portal, "Available")["status"] == "False"
        })
        .await;
    operator.settle().await;
    let touched = &operator.child_writes()[written..];
    assert!(touched.is_empty(), "{touched:#?}");

    portal["spec"]["suspend"] = json!(false);
    space.apply_portal_value(portal).await;
    let status = space.wait_ready("portal").await;
    assert_eq!(condition(&status, "Ready")["reason"], "Serving");
    let deployment = space.get("Deployment", "portal-app").await;
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.local/app:2"
    );
    assert_eq!(deployment["spec"]["replicas"], 1);
    let repaired = space.get("Service", "portal-app").await;
    assert_eq!(difference(&shape(&service), &shape(&repaired)), [""; 0]);
    let repaired = space.get("ServiceAccount", "portal").await;
    assert_eq!(difference(&shape(&account), &shape(&repaired)), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_begins_suspended_makes_nothing_and_says_so() {
    let (space, operator) = Space::with_operator("suspend-new").await;
    let mut portal = samples::ingress();
    portal["spec"]["suspend"] = json!(true);
    space.apply_portal_value(portal).await;
    let message = space.wait_unready("portal", "Suspended").await;
    assert!(
        message.contains("Deployment portal-app") && message.contains("spec.suspend"),
        "{message}"
    );
    operator.settle().await;
    assert_eq!(space.child_names().await, [""; 0]);
    assert!(operator.child_writes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_portal_removes_all_that_it_had_without_a_finalizer() {
    let (space, operator) = Space::with_operator("delete").await;
    create_and_wait(&space).await;
    operator.settle().await;
    let written = operator.writes().len();
    let portal = space.portal("portal").await;
    assert!(portal["metadata"]["finalizers"].is_null());
    space.delete("PortalPlatform", "portal").await;
    all_gone(&space).await;
    operator.settle().await;
    assert_eq!(
        operator.writes().len(),
        written,
        "garbage collection needs no help"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_portal_in_the_foreground_brings_nothing_back() {
    let (space, operator) = Space::with_operator("delete-slowly").await;
    create_and_wait(&space).await;
    operator.settle().await;
    let written = operator.writes().len();
    space
        .api("PortalPlatform")
        .delete("portal", &kube::api::DeleteParams::foreground())
        .await
        .unwrap();
    all_gone(&space).await;
    space.wait_portal("portal", "is gone", Value::is_null).await;
    operator.settle().await;
    assert_eq!(operator.writes().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_deleted_in_the_middle_of_a_pass_gets_nothing_more_and_can_be_created_anew() {
    let bed = Bed::shared().await;
    let space = Space::new(bed, "delete-early").await;
    let faults = Faults::default();
    // The answers of the first wave come when all that they tell of is deleted.
    faults.on_requests(|key| (key.verb == "apply").then_some(Fault::HeldAnswer));
    let told = Arc::new(Notify::new());
    faults.on_events({
        let told = told.clone();
        move |key, event| {
            if key.kind == "portalplatforms" && event["type"] == "DELETED" {
                told.notify_one();
            }
            None
        }
    });
    let options = OperatorOptions {
        namespaces: vec![space.namespace.clone()],
        connect: Some(faults.wrap()),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(bed, options).await;
    space.apply_portal_value(samples::ingress()).await;
    for (kind, name) in [
        ("ServiceAccount", "portal"),
        ("NetworkPolicy", "portal-app"),
    ] {
        space
            .wait_object(kind, name, "is there", |found| !found.is_null())
            .await;
    }
    space.delete("PortalPlatform", "portal").await;
    told.notified().await;
    all_gone(&space).await;
    let written = operator.writes().len();
    faults.release_answers();
    operator.settle().await;
    assert_eq!(operator.writes().len(), written, "{:#?}", operator.writes());

    create_and_wait(&space).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_portal_while_the_operator_is_down_removes_all_that_it_had() {
    let (space, mut operator) = Space::with_operator("delete-down").await;
    create_and_wait(&space).await;
    operator.settle().await;
    operator.stop().await;
    space.delete("PortalPlatform", "portal").await;
    all_gone(&space).await;
    let written = operator.writes().len();
    operator.start_again();
    operator.settle().await;
    assert_eq!(operator.writes().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_which_generation_it_is_about() {
    let bed = Bed::shared().await;
    let space = Space::new(bed, "generation").await;
    let portal = space.apply_portal_value(samples::small()).await;
    assert_eq!(
        portal["status"]["observedGeneration"], -1,
        "nobody has looked yet"
    );

    let _operator = Operator::of(bed, &space.namespace).await;
    let history = space.history("PortalPlatform").await;
    space.wait_ready("portal").await;
    for tag in 2..5 {
        let mut portal = samples::small();
        portal["spec"]["image"] = json!(format!("registry.local/app:{tag}"));
        space.apply_portal_value(portal).await;
        space.wait_ready("portal").await;
    }
    for version in history.of("portal") {
        let observed = &version["status"]["observedGeneration"];
        assert!(observed.as_i64() <= version["metadata"]["generation"].as_i64());
        for condition in version["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert_eq!(&condition["observedGeneration"], observed, "{version:#}");
            assert!(!condition["reason"].as_str().unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_never_ready_at_a_generation_whose_pods_do_not_run_yet() {
    let (space, _operator) = Space::with_operator("honest").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    let mut portal = samples::small();
    portal["spec"]["image"] = json!("registry.local/app:slow");
    space.apply_portal_value(portal).await;
    space.wait_unready("portal", "Starting").await;
    space.wait_ready("portal").await;
    let deployment = space.get("Deployment", "portal-app").await;
    assert_eq!(deployment["status"]["updatedReplicas"], 1);
    assert_eq!(deployment["status"]["replicas"], 1, "the old pod is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_operator_writes_nothing_and_a_portal_at_rest_costs_no_request() {
    let (space, mut operator) = Space::with_operator("rest").await;
    let _controllers = support::controllers::play(&space);
    space.apply_portal_value(samples::ingress()).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let before = operator.requests().len();
    operator.settle().await;
    assert_eq!(operator.requests().len(), before, "at rest");
    operator.stop().await;
    let watches = operator.all_requests().len();
    operator.start_again();
    space
        .wait_for(PATIENCE, "the operator watches again", || async {
            let again = &operator.all_requests()[watches..];
            again
                .iter()
                .any(|request| request.kind == "ingresses" && request.status == Some(200))
                .then_some(())
        })
        .await;
    operator.settle().await;
    let since = &operator.requests()[before..];
    assert!(since.is_empty(), "after a restart: {since:#?}");

    // It is awake all the same.
    space.delete("Service", "portal-app").await;
    space
        .wait_object("Service", "portal-app", "is back", |found| !found.is_null())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_cannot_be_carried_out_is_told_and_what_runs_goes_on() {
    let (space, operator) = Space::with_operator("invalid").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let written = operator.child_writes().len();
    // A comparison of quantities is more than the server's rules can say.
    let portal = json!({
        "spec": {
            "profile": "Ephemeral",
            "components": [{
                "name": "app",
                "image": "registry.local/app:2",
                "resources": {"requests": {"memory": "4Gi"}, "limits": {"memory": "1Gi"}},
            }],
        },
    });
    space.apply_portal_value(portal).await;
    let message = space.wait_unready("portal", "InvalidSpec").await;
    for words in [
        "spec.components[app].resources",
        "memory request 4Gi is above the limit 1Gi",
        "Running objects are left as they are",
    ] {
        assert!(message.contains(words), "{message}");
    }
    let portal = space.portal("portal").await;
    assert_eq!(condition(&portal, "Stalled")["status"], "True");
    operator.settle().await;
    assert_eq!(operator.child_writes().len(), written);
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
}

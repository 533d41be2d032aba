//! Of a Backstage that starts for the first time there is one pod, until it is ready; a second one would break the migrations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{History, Operator, Space, condition, samples, space::PATIENCE};

const DEPLOYMENT: &str = "portal-app";

/// Whether a pod counts: from its creation until it is told to end.
fn runs(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
}

/// How many pods existed at once before the first one was ever ready.
fn most_before_ready(history: &History) -> usize {
    let changes = history.changes();
    let mut present = std::collections::BTreeSet::new();
    let mut most = 0;
    for change in changes {
        let (pod, there) = match &change {
            support::history::Change::Is(pod) => (pod, true),
            support::history::Change::Gone(pod) => (pod, false),
        };
        if there && condition(pod, "Ready")["status"] == "True" {
            return most;
        }
        let name = pod["metadata"]["name"].to_string();
        if there {
            present.insert(name);
        } else {
            present.remove(&name);
        }
        most = most.max(present.len());
    }
    panic!("no pod ever became ready");
}

async fn begin(prefix: &str) -> (Space, Operator, History) {
    let (space, operator) = Space::with_operator(prefix).await;
    let pods = space.history("Pod").await;
    space.apply_portal_value(samples::slow_backstage()).await;
    (space, operator, pods)
}

/// Waits until the first pod runs but is not ready, in the middle of the first start.
async fn middle(space: &Space) {
    space
        .wait_for(PATIENCE, "the first pod starts", || async {
            let pods = space.list("Pod").await;
            let starts = pods.first().is_some_and(|pod| {
                pod["status"]["containerStatuses"][0]["state"]["running"].is_object()
            });
            starts.then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pod_until_the_first_is_ready_then_the_autoscaler_and_the_rest() {
    let (space, operator, pods) = begin("start").await;
    middle(&space).await;
    let message = space.wait_unready("portal", "Starting").await;
    assert!(
        message.contains("Deployment portal-app: 0 of 1 pods ready"),
        "{message}"
    );
    let deployment = space.get("Deployment", DEPLOYMENT).await;
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert!(
        space
            .get("HorizontalPodAutoscaler", DEPLOYMENT)
            .await
            .is_null()
    );

    let portal = space.wait_ready("portal").await;
    assert_eq!(most_before_ready(&pods), 1);
    assert_eq!(portal["status"]["components"][0]["started"], true);
    assert_eq!(portal["status"]["components"][0]["ready"], 3);
    let deployment = space.get("Deployment", DEPLOYMENT).await;
    assert_eq!(
        deployment["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    let autoscaler = space.get("HorizontalPodAutoscaler", DEPLOYMENT).await;
    assert_eq!(autoscaler["spec"]["minReplicas"], 3);

    // The end of the gate changes the number and the strategy, not the pods.
    assert_eq!(space.list("ReplicaSet").await.len(), 1);
    operator.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_dies_in_the_middle_starts_no_second_pod() {
    let (space, mut operator, pods) = begin("start-crash").await;
    for _ in 0..3 {
        operator.crash().await;
        operator.start_again();
        middle(&space).await;
    }
    space.wait_ready("portal").await;
    assert_eq!(most_before_ready(&pods), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_dies_at_once_starts_no_second_pod() {
    let (space, mut operator, pods) = begin("start-early").await;
    // As soon as the Deployment is there, which is before the portal's status tells of it.
    space
        .wait_for(PATIENCE, "the Deployment is made", || async {
            let made = operator
                .writes()
                .iter()
                .any(|write| write.kind == "deployments" && write.status == Some(201));
            made.then_some(())
        })
        .await;
    operator.crash().await;
    operator.start_again();
    space.wait_ready("portal").await;
    assert_eq!(most_before_ready(&pods), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_made_scale_during_the_first_start_is_undone() {
    let (space, _operator, _pods) = begin("start-scale").await;
    middle(&space).await;
    space.scale(DEPLOYMENT, 4).await;
    space
        .wait_object("Deployment", DEPLOYMENT, "has one replica again", |found| {
            found["spec"]["replicas"] == 1
        })
        .await;
    let starting = space.list("Pod").await;
    assert!(starting.iter().filter(|pod| runs(pod)).count() >= 1);
    let portal = space.wait_ready("portal").await;
    assert_eq!(portal["status"]["components"][0]["ready"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_image_during_the_first_start_replaces_the_only_pod() {
    let (space, _operator) = Space::with_operator("start-image").await;
    let pods = space.history("Pod").await;
    let mut portal = samples::slow_backstage();
    portal["spec"]["image"] = json!("registry.local/backstage:image-pull-error");
    space.apply_portal_value(portal.clone()).await;
    space.wait_unready("portal", "ImagePullFailed").await;
    portal["spec"]["image"] = json!("registry.local/backstage:slow");
    space.apply_portal_value(portal).await;
    space.wait_ready("portal").await;
    assert_eq!(
        most_before_ready(&pods),
        1,
        "the old pod went before the new one came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn generic_programs_have_no_gate() {
    let (space, _operator) = Space::with_operator("start-generic").await;
    let deployments = space.history("Deployment").await;
    let mut portal = samples::slow_backstage();
    portal["spec"]["preset"] = json!("Generic");
    space.apply_portal_value(portal).await;
    let portal = space.wait_ready("portal").await;
    assert_eq!(portal["status"]["components"][0]["ready"], 3);
    for version in deployments.of(DEPLOYMENT) {
        assert_eq!(version["spec"]["strategy"]["type"], "RollingUpdate");
    }
    let autoscaler = space.get("HorizontalPodAutoscaler", DEPLOYMENT).await;
    let created = autoscaler["metadata"]["creationTimestamp"]
        .as_str()
        .unwrap();
    for pod in space.list("Pod").await {
        let ready = condition(&pod, "Ready");
        assert!(
            created <= ready["lastTransitionTime"].as_str().unwrap(),
            "the autoscaler did not wait for a pod"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_of_the_image_rolls_one_new_pod_at_a_time_and_none_less() {
    let (space, _operator) = Space::with_operator("start-roll").await;
    let mut portal = samples::slow_backstage();
    portal["spec"]["image"] = json!("registry.local/backstage:1");
    space.apply_portal_value(portal.clone()).await;
    space.wait_ready("portal").await;

    let pods = space.history("Pod").await;
    let deployments = space.history("Deployment").await;
    portal["spec"]["image"] = json!("registry.local/backstage:2");
    space.apply_portal_value(portal).await;
    space
        .wait_portal("portal", "runs the new image", |portal| {
            portal["status"]["components"][0]["updated"] == 3
                && condition(portal, "Ready")["status"] == "True"
                && portal["status"]["observedGeneration"] == portal["metadata"]["generation"]
        })
        .await;
    assert!(pods.most_at_once(runs) <= 4, "three pods and one more");
    for version in deployments.of(DEPLOYMENT) {
        assert_eq!(version["spec"]["replicas"], 3);
        let available = version["status"]["availableReplicas"].as_i64().unwrap_or(0);
        assert!(available >= 3, "{available} available");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_deleted_after_the_first_start_comes_back_with_all_its_pods() {
    let (space, operator) = Space::with_operator("start-again").await;
    let mut portal = samples::slow_backstage();
    portal["spec"]["image"] = json!("registry.local/backstage:1");
    space.apply_portal_value(portal).await;
    space.wait_ready("portal").await;
    operator.settle().await;

    let first = space.get("Deployment", DEPLOYMENT).await;
    let deployments = space.history("Deployment").await;
    space.delete("HorizontalPodAutoscaler", DEPLOYMENT).await;
    space.delete("Deployment", DEPLOYMENT).await;
    space
        .wait_object(
            "Deployment",
            DEPLOYMENT,
            "is a new one with 3 pods",
            |found| {
                found["metadata"]["uid"] != first["metadata"]["uid"]
                    && found["status"]["readyReplicas"] == 3
            },
        )
        .await;
    let autoscaler = space.get("HorizontalPodAutoscaler", DEPLOYMENT).await;
    assert_eq!(autoscaler["spec"]["minReplicas"], 3);
    for version in deployments.of(DEPLOYMENT) {
        assert_eq!(version["spec"]["strategy"]["type"], "RollingUpdate");
    }
    space.wait_ready("portal").await;
}

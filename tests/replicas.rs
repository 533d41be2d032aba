//! The number of pods belongs to whoever scales: it never falls because the operator takes a field or lets go of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{History, Operator, Space, samples, space::PATIENCE};

const DEPLOYMENT: &str = "portal-app";

/// A portal of three to ten pods that may share nodes.
fn portal(scaling: Value) -> Value {
    let mut portal = json!({
        "metadata": {"name": "portal"},
        "spec": {
            "profile": "Production",
            "components": [{
                "name": "app",
                "image": "registry.local/app:1",
                "placement": {"spread": {"zones": "None", "nodes": "None"}},
            }],
        },
    });
    // Not as an empty object: a server-side apply that empties an object turns it into null, which is refused.
    if scaling != json!({}) {
        portal["spec"]["components"][0]["scaling"] = scaling;
    }
    portal
}

async fn apply(space: &Space, scaling: Value) {
    space.apply_portal_value(portal(scaling)).await;
    space.wait_ready("portal").await;
}

/// Every number of replicas that the Deployment was ever asked for.
fn numbers(history: &History) -> Vec<i64> {
    let mut numbers: Vec<i64> = history
        .of(DEPLOYMENT)
        .iter()
        .map(|version| version["spec"]["replicas"].as_i64().unwrap())
        .collect();
    numbers.dedup();
    numbers
}

/// A portal that somebody scaled to seven pods, and what the Deployment was asked for since.
async fn seven(prefix: &str) -> (Space, Operator, History) {
    let (space, operator) = Space::with_operator(prefix).await;
    apply(&space, json!({})).await;
    space.scale(DEPLOYMENT, 7).await;
    space
        .wait_object("Deployment", DEPLOYMENT, "has seven pods", |found| {
            found["status"]["readyReplicas"] == 7
        })
        .await;
    let history = space.history("Deployment").await;
    (space, operator, history)
}

async fn autoscaler_is(space: &Space, there: bool) {
    space
        .wait_object(
            "HorizontalPodAutoscaler",
            DEPLOYMENT,
            if there { "is there" } else { "is gone" },
            |found| found.is_null() != there,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_the_autoscaler_off_and_on_leaves_the_number_alone() {
    let (space, operator, history) = seven("replicas-manual").await;
    apply(&space, json!({"mode": "Manual"})).await;
    autoscaler_is(&space, false).await;
    operator.settle().await;
    apply(&space, json!({})).await;
    autoscaler_is(&space, true).await;
    operator.settle().await;
    assert_eq!(numbers(&history), [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_number_is_handed_to_the_autoscaler_without_a_fall() {
    let (space, operator, history) = seven("replicas-fixed").await;
    apply(&space, json!({"minReplicas": 7, "maxReplicas": 7})).await;
    autoscaler_is(&space, false).await;
    operator.settle().await;
    // Now the number is the operator's, and a hand-made one is undone.
    space.scale(DEPLOYMENT, 8).await;
    space
        .wait_object("Deployment", DEPLOYMENT, "has seven again", |found| {
            found["spec"]["replicas"] == 7
        })
        .await;
    operator.settle().await;
    // The number must not fall to 1 when the operator lets go of it.
    apply(&space, json!({"minReplicas": 3, "maxReplicas": 10})).await;
    autoscaler_is(&space, true).await;
    operator.settle().await;
    assert_eq!(numbers(&history), [7, 8, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_number_becomes_somebody_elses_without_a_fall() {
    let (space, operator, history) = seven("replicas-let-go").await;
    apply(&space, json!({"minReplicas": 6, "maxReplicas": 6})).await;
    apply(&space, json!({"mode": "Manual"})).await;
    operator.settle().await;
    // Nobody else had asked for six, so letting go of it would have meant one.
    assert_eq!(numbers(&history), [7, 6]);
    space.scale(DEPLOYMENT, 5).await;
    operator.settle().await;
    assert_eq!(numbers(&history), [7, 6, 5], "a person's number stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_scaled_while_the_operator_was_away_is_not_reset() {
    let (space, mut operator, history) = seven("replicas-away").await;
    operator.crash().await;
    space.scale(DEPLOYMENT, 8).await;
    operator.start_again();
    apply(&space, json!({"mode": "Manual"})).await;
    operator.crash().await;
    operator.start_again();
    apply(&space, json!({})).await;
    autoscaler_is(&space, true).await;
    operator.settle().await;
    assert_eq!(numbers(&history), [7, 8]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_deployment_under_an_autoscaler_begins_with_the_minimum() {
    let (space, operator) = Space::with_operator("replicas-new").await;
    let history = space.history("Deployment").await;
    apply(&space, json!({"minReplicas": 4, "maxReplicas": 8})).await;
    operator.settle().await;
    // The server's default of one, for the moment between the two writes of a creation.
    let numbers = numbers(&history);
    assert!(numbers == [4] || numbers == [1, 4], "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_scales_up_and_the_operator_leaves_the_deployment_alone() {
    let (space, operator) = Space::with_operator("replicas-load").await;
    let at_once = json!({
        "minReplicas": 2,
        "maxReplicas": 5,
        "cpu": {"averageUtilization": 50},
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Pods", "value": 10, "periodSeconds": 15}],
            },
        },
    });
    let mut wanted = portal(at_once);
    space.apply_portal_value(wanted.clone()).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let written = operator.child_writes().len();

    for pod in space.list("Pod").await {
        let busy = json!({"metadata": {"annotations": {"kwok.x-k8s.io/usage-cpu": "450m"}}});
        space
            .merge("Pod", pod["metadata"]["name"].as_str().unwrap(), busy)
            .await;
    }
    space
        .wait_for(
            Duration::from_mins(2),
            "the autoscaler adds pods",
            || async {
                let found = space.get("Deployment", DEPLOYMENT).await;
                (found["status"]["readyReplicas"].as_i64() >= Some(4)).then_some(())
            },
        )
        .await;
    operator.settle().await;
    let touched = &operator.child_writes()[written..];
    assert!(touched.is_empty(), "{touched:#?}");

    // A new version rolls out with the number that the autoscaler found.
    let history = space.history("Deployment").await;
    wanted["spec"]["components"][0]["image"] = json!("registry.local/app:2");
    space.apply_portal_value(wanted).await;
    space
        .wait_for(PATIENCE, "the new version is out", || async {
            let found = space.get("Deployment", DEPLOYMENT).await;
            let image = &found["spec"]["template"]["spec"]["containers"][0]["image"];
            (image == "registry.local/app:2"
                && found["status"]["updatedReplicas"] == found["spec"]["replicas"])
                .then_some(())
        })
        .await;
    assert!(
        numbers(&history).iter().all(|&number| number >= 4),
        "{:?}",
        numbers(&history)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_portal_has_neither_autoscaler_nor_disruption_budget() {
    let (space, _operator) = Space::with_operator("replicas-one").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    autoscaler_is(&space, false).await;
    assert!(space.get("PodDisruptionBudget", DEPLOYMENT).await.is_null());
    let deployment = space.get("Deployment", DEPLOYMENT).await;
    assert_eq!(deployment["spec"]["replicas"], 1);
}

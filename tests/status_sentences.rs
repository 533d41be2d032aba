//! Whatever keeps the pods of a portal from serving is one sentence in its status: the object, the cause, the next step. When it
//! is mended, the portal is Ready.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{
    Space, condition,
    sentences::{behaving, demand, told},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_ails_a_pod_is_told_with_the_next_step_and_heals_with_the_image() {
    let (space, _operator) = Space::with_operator("sentence-pod").await;
    let cases: [(&str, &str, &[&str]); 7] = [
        (
            "image-pull-error",
            "ImagePullFailed",
            &[
                "ImagePullBackOff",
                "not found",
                "check spec.image",
                "spec.imagePullSecrets",
            ],
        ),
        (
            "crash-loop",
            "CrashLooping",
            &[
                "exit code 1",
                "restarted 5 times",
                "kubectl logs",
                "--previous",
            ],
        ),
        (
            "oom-killed",
            "OutOfMemory",
            &["OOMKilled", "memory limit", "resources.limits.memory"],
        ),
        (
            "probe-fails",
            "ProbeFailing",
            &["/health", "port 8000", "probes.readiness.path"],
        ),
        (
            "never-ready",
            "Starting",
            &["/health", "has not answered well yet", "300 s"],
        ),
        (
            "missing-secret",
            "ConfigurationMissing",
            &[
                "secret \"scm-tokens\" not found",
                "create the Secret",
                "envFrom",
            ],
        ),
        (
            "missing-key",
            "ConfigurationMissing",
            &["couldn't find key token", "add the key to the Secret"],
        ),
    ];
    for (tag, ..) in cases {
        space.apply_portal_value(behaving(tag, tag)).await;
    }
    for (tag, reason, words) in cases {
        told(&space, tag, reason, false, words).await;
        let message = space.wait_unready(tag, reason).await;
        demand(
            &message,
            &[&format!(
                "Deployment {tag}-app: 0 of 1 pods ready; {tag}-app-"
            )],
        );
        assert!(!message.contains(". "), "one sentence: {message:?}");
    }
    for (tag, ..) in cases {
        space.apply_portal_value(behaving(tag, "1")).await;
    }
    for (tag, ..) in cases {
        let portal = space.wait_ready(tag).await;
        for abnormal in ["Stalled", "Reconciling"] {
            assert!(condition(&portal, abnormal).is_null(), "{portal:#}");
        }
        assert_eq!(condition(&portal, "Available")["status"], "True");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_no_node_takes_are_told_with_what_to_change() {
    let (space, _operator) = Space::with_operator("sentence-node").await;
    let component = |more: Value| {
        let mut component = json!({"name": "app", "image": "registry.local/app:1"});
        for (key, value) in more.as_object().unwrap() {
            component[key] = value.clone();
        }
        component
    };
    let cases: [(&str, Value, &[&str]); 3] = [
        (
            "huge",
            json!({"resources": {"requests": {"cpu": "1000"}}}),
            &[
                "Insufficient cpu",
                "add nodes, or lower size or resources.requests",
            ],
        ),
        (
            "many",
            json!({
                "scaling": {"minReplicas": 7, "maxReplicas": 7},
                "placement": {"spread": {"zones": "None", "nodes": "Required"}},
            }),
            &["anti-affinity", "placement.spread.nodes: Preferred"],
        ),
        (
            "picky",
            json!({"placement": {"nodeSelector": {"example.com/disk": "fast"}}}),
            &["placement.nodeSelector"],
        ),
    ];
    let portal = |name: &str, more: Value| {
        json!({
            "metadata": {"name": name},
            "spec": {"profile": "Ephemeral", "components": [component(more)]},
        })
    };
    for (name, more, _) in &cases {
        space.apply_portal_value(portal(name, more.clone())).await;
    }
    for (name, _, words) in &cases {
        told(&space, name, "Unschedulable", false, words).await;
        let message = space.wait_unready(name, "Unschedulable").await;
        demand(&message, &["no node takes it", &format!("{name}-app-")]);
    }
    for (name, ..) in &cases {
        space.apply_portal_value(portal(name, json!({}))).await;
        space.wait_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_for_pods_is_told_and_heals_when_it_is_raised() {
    let (space, _operator) = Space::with_operator("sentence-quota").await;
    let quota = |pods: &str| {
        json!({
            "kind": "ResourceQuota",
            "metadata": {"name": "tight"},
            "spec": {"hard": {"pods": pods}},
        })
    };
    space.create(quota("0")).await;
    space
        .wait_object("ResourceQuota", "tight", "counts", |found| {
            found["status"]["hard"]["pods"] == "0"
        })
        .await;
    space.apply_portal_value(behaving("portal", "1")).await;
    told(
        &space,
        "portal",
        "QuotaExceeded",
        true,
        &[
            "Deployment portal-app: 0 of 1 pods ready",
            "exceeded quota: tight",
            "raise the ResourceQuota, or lower size or replicas",
        ],
    )
    .await;
    space
        .merge(
            "ResourceQuota",
            "tight",
            json!({"spec": {"hard": {"pods": "5"}}}),
        )
        .await;
    space.wait_ready("portal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_for_a_child_is_told_and_heals_when_it_is_raised() {
    let (space, _operator) = Space::with_operator("sentence-count").await;
    space
        .create(json!({
            "kind": "ResourceQuota",
            "metadata": {"name": "no-services"},
            "spec": {"hard": {"services": "0"}},
        }))
        .await;
    space
        .wait_object("ResourceQuota", "no-services", "counts", |found| {
            found["status"]["hard"]["services"] == "0"
        })
        .await;
    space.apply_portal_value(behaving("portal", "1")).await;
    told(
        &space,
        "portal",
        "QuotaExceeded",
        true,
        &[
            "Service portal-app was not written",
            "exceeded quota: no-services",
            "raise the ResourceQuota or ask for less",
        ],
    )
    .await;
    // One child that is refused keeps none of the others from being made.
    space
        .wait_object("Deployment", "portal-app", "runs all the same", |found| {
            found["status"]["readyReplicas"] == 1
        })
        .await;
    space.delete("ResourceQuota", "no-services").await;
    space.wait_ready("portal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_a_limit_range_refuses_are_told_and_heal_with_it() {
    let (space, _operator) = Space::with_operator("sentence-limit").await;
    space
        .create(json!({
            "kind": "LimitRange",
            "metadata": {"name": "tiny"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]},
        }))
        .await;
    space.apply_portal_value(behaving("portal", "1")).await;
    told(
        &space,
        "portal",
        "PodsRefused",
        true,
        &[
            "Deployment portal-app: 0 of 1 pods ready",
            "pods are refused",
            "maximum memory usage per Container is 64Mi",
        ],
    )
    .await;
    space.delete("LimitRange", "tiny").await;
    space.wait_ready("portal").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_version_goes_on_serving_while_a_broken_one_is_rolled_out() {
    let (space, _operator) = Space::with_operator("sentence-roll").await;
    let mut portal = behaving("portal", "1");
    portal["spec"]["profile"] = json!("Staging");
    space.apply_portal_value(portal.clone()).await;
    space.wait_ready("portal").await;
    let portals = space.history("PortalPlatform").await;
    portal["spec"]["image"] = json!("registry.local/app:crash-loop");
    space.apply_portal_value(portal.clone()).await;
    told(
        &space,
        "portal",
        "CrashLooping",
        false,
        &["Deployment portal-app: 2 of 2 pods ready", "kubectl logs"],
    )
    .await;
    portal["spec"]["image"] = json!("registry.local/app:2");
    space.apply_portal_value(portal).await;
    space.wait_ready("portal").await;
    for version in portals.of("portal") {
        assert_eq!(
            condition(&version, "Available")["status"],
            "True",
            "{version:#}"
        );
    }
}

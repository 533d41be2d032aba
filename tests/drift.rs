//! Whatever anybody does to an object that the operator made, it is as it shall be within a second or so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use support::{
    Operator, Space, condition,
    controllers::{self, Controllers},
    database::{self, CloudNativePg},
    samples,
    shape::{difference, shape},
    space::PATIENCE,
};

/// Longest repair. It takes some 20 ms; the rest is for busy machines.
const LIMIT: Duration = Duration::from_secs(2);
/// A slow machine shows in the median: no repair may take more than so many times as long.
const SLOWER: u32 = 20;

/// An object of each kind, and an edit of a field of it that the operator owns.
fn objects() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "ServiceAccount",
            "portal",
            json!({"automountServiceAccountToken": true}),
        ),
        (
            "ConfigMap",
            "portal-config",
            json!({"data": {"app-config.yaml": "app: {title: Evil}"}}),
        ),
        (
            "NetworkPolicy",
            "portal-app",
            json!({"spec": {"ingress": [{}]}}),
        ),
        (
            "Certificate",
            "portal",
            json!({"spec": {"dnsNames": ["evil.example.com"]}}),
        ),
        (
            "Service",
            "portal-app",
            json!({"spec": {"selector": {"portalplatform.dev/component": "evil"}}}),
        ),
        (
            "Deployment",
            "portal-app",
            json!({"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 3}}}}),
        ),
        (
            "HorizontalPodAutoscaler",
            "portal-app",
            json!({"spec": {"maxReplicas": 99}}),
        ),
        (
            "PodDisruptionBudget",
            "portal-app",
            json!({"spec": {"maxUnavailable": 3}}),
        ),
        (
            "Ingress",
            "portal",
            json!({"spec": {"tls": [{"hosts": ["evil.example.com"], "secretName": "evil"}]}}),
        ),
        (
            "HTTPRoute",
            "gate",
            json!({"spec": {"hostnames": ["evil.example.com"]}}),
        ),
        ("Cluster", "base-db", json!({"spec": {"instances": 1}})),
        (
            "Pooler",
            "base-db-pooler",
            json!({"spec": {"pgbouncer": {"poolMode": "transaction"}}}),
        ),
        (
            "ObjectStore",
            "base-db",
            json!({"spec": {"retentionPolicy": "1d"}}),
        ),
        (
            "ScheduledBackup",
            "base-db",
            json!({"spec": {"schedule": "0 0 0 1 1 *"}}),
        ),
        (
            "CronJob",
            "base-db-archive",
            json!({"spec": {"schedule": "0 0 1 1 *"}}),
        ),
    ]
}

/// Three portals that have children of every kind between them.
async fn stage(prefix: &str) -> (Space, Operator, (Controllers, CloudNativePg)) {
    let (space, operator) = Space::with_operator(prefix).await;
    let controllers = (controllers::play(&space), database::play(&space));
    space.apply_portal_value(samples::ingress()).await;
    let mut gate = samples::gateway();
    gate["metadata"]["name"] = json!("gate");
    gate["spec"]["host"] = json!("gate.example.com");
    space.apply_portal_value(gate).await;
    let mut base = samples::small();
    base["metadata"]["name"] = json!("base");
    base["spec"]["profile"] = json!("Staging");
    base["spec"]["database"] = json!({"reclaimPolicy": "Delete"});
    base["spec"]["backup"] = samples::backup();
    space.apply_portal_value(base).await;
    for portal in ["portal", "gate", "base"] {
        space.wait_ready(portal).await;
    }
    operator.settle().await;
    (space, operator, controllers)
}

/// Does harm to an object of each kind, one after the other, and demands that each is again as it was.
async fn each_is_repaired<'a, F>(
    space: &'a Space,
    operator: &Operator,
    harm: impl Fn(&'a Space, &'static str, &'static str, Value) -> F,
) -> Vec<(Value, Value)>
where
    F: Future<Output = Option<Value>>,
{
    let mut repaired = Vec::new();
    let mut took = Vec::new();
    for (kind, name, edit) in objects() {
        let before = space.get(kind, name).await;
        let written = operator.child_writes().len();
        let begin = Instant::now();
        // The version after the harm, where there is one: what is older than it is no repair.
        let harmed = harm(space, kind, name, edit).await;
        let what = format!("{kind} {name} is repaired");
        let after = space
            .wait_for(PATIENCE, &what, || async {
                let now = space.get(kind, name).await;
                let same_life = now["metadata"]["uid"] == before["metadata"]["uid"];
                let new = match &harmed {
                    Some(harmed) => {
                        same_life
                            && now["metadata"]["resourceVersion"]
                                != harmed["metadata"]["resourceVersion"]
                    }
                    None => !same_life,
                };
                (new && difference(&shape(&before), &shape(&now)).is_empty()).then_some(now)
            })
            .await;
        took.push((begin.elapsed(), kind));
        for write in &operator.child_writes()[written..] {
            assert_eq!(
                write.name, name,
                "only the object itself is written: {write:?}"
            );
        }
        repaired.push((before, after));
    }
    took.sort();
    let median = took[took.len() / 2].0;
    let slowest = took[took.len() - 1];
    println!("half of the repairs within {median:?}, the slowest: {slowest:?}");
    assert!(
        slowest.0 <= LIMIT.max(median * SLOWER),
        "median {median:?}: {took:?}"
    );
    operator.settle().await;
    repaired
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_child_comes_back() {
    let (space, operator, _controllers) = stage("drift-delete").await;
    each_is_repaired(&space, &operator, |space, kind, name, _| async move {
        space.delete(kind, name).await;
        None
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_field_is_set_back_and_what_is_foreign_stays() {
    let (space, operator, _controllers) = stage("drift-edit").await;
    let foreign = json!({"metadata": {
        "annotations": {"example.com/note": "mine"},
        "labels": {"example.com/team": "blue"},
        "finalizers": ["example.com/mine"],
    }});
    let foreign_shape = foreign.clone();
    for (kind, name, _) in objects() {
        space.merge(kind, name, foreign.clone()).await;
    }
    // A port of a sidecar, say: an entry of a list by a key that is not ours.
    space
        .merge(
            "Deployment",
            "portal-app",
            json!({"spec": {"template": {"metadata": {"annotations": {"example.com/injected": "yes"}}}}}),
        )
        .await;
    operator.settle().await;

    let repaired = each_is_repaired(&space, &operator, |space, kind, name, edit| async move {
        Some(space.merge(kind, name, edit).await)
    })
    .await;

    for (_, after) in repaired {
        for (field, wanted) in foreign_shape["metadata"].as_object().unwrap() {
            let kept = &after["metadata"][field];
            match wanted.as_object() {
                Some(entries) => {
                    for (key, value) in entries {
                        assert_eq!(&kept[key], value, "{field} of {after:#}");
                    }
                }
                None => assert_eq!(kept, wanted, "{field} of {after:#}"),
            }
        }
        if after["kind"] == "Deployment" {
            let annotations = &after["spec"]["template"]["metadata"]["annotations"];
            assert_eq!(annotations["example.com/injected"], "yes");
        }
    }
    // Or the namespace could never go.
    for (kind, name, _) in objects() {
        space
            .merge(kind, name, json!({"metadata": {"finalizers": null}}))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stripped_labels_come_back_on_the_same_object() {
    let (space, operator, _controllers) = stage("drift-labels").await;
    each_is_repaired(&space, &operator, |space, kind, name, _| async move {
        let strip = json!({"metadata": {"labels": null}});
        Some(space.merge(kind, name, strip).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_owner_reference_comes_back_on_the_same_object() {
    let (space, operator, _controllers) = stage("drift-owner").await;
    each_is_repaired(&space, &operator, |space, kind, name, _| async move {
        let strip = json!({"metadata": {"ownerReferences": null}});
        Some(space.merge(kind, name, strip).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_owner_reference_stripped_at_once_come_back_on_the_same_object() {
    let (space, operator, _controllers) = stage("drift-both").await;
    each_is_repaired(&space, &operator, |space, kind, name, _| async move {
        let strip = json!({"metadata": {"ownerReferences": null, "labels": null}});
        Some(space.merge(kind, name, strip).await)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_managed_fields_are_taken_again_without_a_change_of_the_object() {
    let (space, operator, _controllers) = stage("drift-fields").await;
    let repaired = each_is_repaired(&space, &operator, |space, kind, name, _| async move {
        let strip = json!({"metadata": {"managedFields": [{}]}});
        Some(space.merge(kind, name, strip).await)
    })
    .await;
    for (before, after) in repaired {
        assert_eq!(
            before["metadata"]["generation"], after["metadata"]["generation"],
            "the spec of {} did not move",
            after["metadata"]["name"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_cannot_go_is_named_and_heals_when_it_is_gone() {
    let (space, operator, _controllers) = stage("drift-stuck").await;
    let name = "portal-config";
    let stuck = json!({"metadata": {"finalizers": ["example.com/stuck"]}});
    space.merge("ConfigMap", name, stuck).await;
    space.delete("ConfigMap", name).await;

    let message = space.wait_unready("portal", "WaitingForDeletion").await;
    assert!(
        message.contains("ConfigMap portal-config") && message.contains("finalizers"),
        "{message}"
    );
    let portal = space.portal("portal").await;
    assert_eq!(condition(&portal, "Available")["status"], "True");
    operator.settle().await;

    let free = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    space
        .api("ConfigMap")
        .patch(
            name,
            &PatchParams::default(),
            &Patch::<Value>::Json(serde_json::from_value(free).unwrap()),
        )
        .await
        .unwrap();
    let begin = Instant::now();
    space
        .wait_for(LIMIT, "the ConfigMap comes back", || async {
            let found = space.get("ConfigMap", name).await;
            (found["metadata"]["deletionTimestamp"].is_null() && !found.is_null()).then_some(())
        })
        .await;
    println!("healed after {:?}", begin.elapsed());
    space.wait_ready("portal").await;
}

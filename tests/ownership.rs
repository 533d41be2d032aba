//! What the operator did not make is reported and left alone; what it made is found again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Space, condition, samples, shape::shapes, space::PATIENCE};

/// An object of each of three kinds, of somebody else, with a name that a portal wants.
fn foreigners() -> Vec<Value> {
    let labels = json!({"app": "other"});
    vec![
        json!({
            "kind": "Deployment",
            "metadata": {"name": "portal-app", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "other", "image": "registry.local/other:1"}]},
                },
            },
        }),
        json!({
            "kind": "Service",
            "metadata": {"name": "portal-app"},
            "spec": {"ports": [{"port": 80}], "selector": labels},
        }),
        json!({
            "kind": "ConfigMap",
            "metadata": {"name": "portal-config"},
            "data": {"theirs": "yes"},
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_is_named_and_not_touched_until_it_is_gone() {
    let (space, operator) = Space::with_operator("foreign").await;
    let mut before = Vec::new();
    for foreigner in foreigners() {
        before.push(space.create(foreigner).await);
    }
    space.apply_portal_value(samples::ingress()).await;
    let message = space.wait_unready("portal", "ObjectConflict").await;
    assert!(message.contains("belongs to somebody else"), "{message}");
    assert!(message.contains("Delete or rename it"), "{message}");
    let portal = space.portal("portal").await;
    let conflicts: Vec<_> = portal["status"]["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| {
            format!(
                "{} {} {}",
                conflict["kind"].as_str().unwrap(),
                conflict["name"].as_str().unwrap(),
                conflict["manager"].as_str().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(conflicts.len(), 3, "{conflicts:?}");
    assert!(
        conflicts[0].starts_with("ConfigMap portal-config "),
        "{conflicts:?}"
    );
    assert!(
        conflicts[1].starts_with("Deployment portal-app Helm"),
        "{conflicts:?}"
    );
    assert!(
        conflicts[2].starts_with("Service portal-app "),
        "{conflicts:?}"
    );
    assert_eq!(condition(&portal, "Stalled")["status"], "True");
    operator.settle().await;

    // The Deployment's own controller writes its status; the operator must not have written anything.
    for foreigner in &before {
        let kind = foreigner["kind"].as_str().unwrap();
        let name = foreigner["metadata"]["name"].as_str().unwrap();
        let now = space.get(kind, name).await;
        assert_eq!(now["spec"], foreigner["spec"]);
        assert_eq!(now["data"], foreigner["data"]);
        if kind != "Deployment" {
            assert_eq!(
                now["metadata"]["resourceVersion"],
                foreigner["metadata"]["resourceVersion"]
            );
        }
        let plural = support::resource(kind).plural;
        let touched = operator
            .writes()
            .into_iter()
            .find(|write| write.kind == plural && write.name == name);
        assert_eq!(touched, None);
    }

    for foreigner in &before {
        let kind = foreigner["kind"].as_str().unwrap();
        let name = foreigner["metadata"]["name"].as_str().unwrap();
        space.delete(kind, name).await;
    }
    let portal = space
        .wait_portal("portal", "has no conflicts", |portal| {
            portal["status"]["conflicts"]
                .as_array()
                .is_none_or(Vec::is_empty)
        })
        .await;
    assert!(condition(&portal, "Stalled").is_null());
    space
        .wait_object("Deployment", "portal-app", "is the operator's", |found| {
            found["status"]["readyReplicas"] == 3
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_takes_the_name_of_a_deleted_child_is_not_taken_over() {
    let (space, mut operator) = Space::with_operator("usurper").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    operator.stop().await;
    space.delete("Service", "portal-app").await;
    let usurper = space
        .create(json!({
            "kind": "Service",
            "metadata": {"name": "portal-app"},
            "spec": {"ports": [{"port": 80}]},
        }))
        .await;
    operator.start_again();
    let message = space.wait_unready("portal", "ObjectConflict").await;
    assert!(message.contains("Service portal-app"), "{message}");
    operator.settle().await;
    let now = space.get("Service", "portal-app").await;
    assert_eq!(
        now["metadata"]["resourceVersion"],
        usurper["metadata"]["resourceVersion"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_whose_objects_would_have_the_same_name_do_not_harm_each_other() {
    let (space, operator) = Space::with_operator("twins").await;
    let portal = |name: &str, component: &str| {
        json!({
            "metadata": {"name": name},
            "spec": {
                "profile": "Ephemeral",
                "components": [{"name": component, "image": "registry.local/app:1"}],
            },
        })
    };
    space.apply_portal_value(portal("a", "b-c")).await;
    space.wait_ready("a").await;
    operator.settle().await;
    let before = space.get("Deployment", "a-b-c").await;

    space.apply_portal_value(portal("a-b", "c")).await;
    let message = space.wait_unready("a-b", "ObjectConflict").await;
    assert!(message.contains("PortalPlatform a)"), "{message}");
    let second = space.portal("a-b").await;
    assert!(
        second["status"]["conflicts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|conflict| conflict["kind"] == "Deployment" && conflict["name"] == "a-b-c"),
        "{second:#}"
    );
    operator.settle().await;
    let after = space.get("Deployment", "a-b-c").await;
    assert_eq!(
        after["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    assert_eq!(after["metadata"]["ownerReferences"][0]["name"], "a");
    let first = space.wait_ready("a").await;
    assert!(
        first["status"]["conflicts"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );

    // The name is free as soon as the first portal is gone.
    space.delete("PortalPlatform", "a").await;
    space.wait_ready("a-b").await;
    let taken = space.get("Deployment", "a-b-c").await;
    assert_eq!(taken["metadata"]["ownerReferences"][0]["name"], "a-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_portals_of_a_namespace_and_one_of_the_same_name_elsewhere_keep_apart() {
    let (space, operator) = Space::with_operator("apart").await;
    let (other, _operator) = Space::with_operator("apart-other").await;
    space.apply_portal_value(samples::small()).await;
    let mut second = samples::small();
    second["metadata"]["name"] = json!("portal-two");
    space.apply_portal_value(second).await;
    other.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    space.wait_ready("portal-two").await;
    other.wait_ready("portal").await;
    operator.settle().await;
    let elsewhere = shapes(&other).await;

    space.delete("PortalPlatform", "portal").await;
    space
        .wait_for(PATIENCE, "the first portal's children are gone", || async {
            let names = space.child_names().await;
            names
                .iter()
                .all(|name| name.contains("portal-two"))
                .then_some(())
        })
        .await;
    operator.settle().await;
    assert_eq!(space.child_names().await.len(), elsewhere.len());
    assert_eq!(shapes(&other).await, elsewhere);
    space.wait_ready("portal-two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn children_carry_no_label_that_gitops_tools_track_by() {
    let (space, _operator) = Space::with_operator("labels").await;
    let mut portal = samples::ingress();
    portal["metadata"]["labels"] = json!({
        "app.kubernetes.io/instance": "argo-app", "team": "blue",
    });
    portal["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "app:x"});
    space.apply_portal_value(portal).await;
    space
        .wait_object("Ingress", "portal", "is there", |found| !found.is_null())
        .await;
    let children = space.children().await;
    assert!(children.len() >= 9);
    for child in children {
        let labels = child["metadata"]["labels"].as_object().unwrap();
        assert!(
            !labels.contains_key("app.kubernetes.io/instance"),
            "{child:#}"
        );
        assert!(!labels.contains_key("team"), "{child:#}");
        let annotations = &child["metadata"]["annotations"];
        assert!(
            annotations["argocd.argoproj.io/tracking-id"].is_null(),
            "{child:#}"
        );
        assert!(child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] != true);
        assert!(child["metadata"]["finalizers"].is_null(), "{child:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deletion_names_the_uid_of_what_it_deletes() {
    let (space, operator) = Space::with_operator("uid").await;
    space.apply_portal_value(samples::ingress()).await;
    space
        .wait_object("Ingress", "portal", "is there", |found| !found.is_null())
        .await;
    operator.settle().await;
    let mut uids = std::collections::BTreeMap::new();
    for child in space.children().await {
        let plural = support::resource(child["kind"].as_str().unwrap()).plural;
        let name = child["metadata"]["name"].as_str().unwrap().to_owned();
        uids.insert((plural, name), child["metadata"]["uid"].clone());
    }
    // Everything but the ServiceAccount becomes superfluous or is made under another name.
    space
        .apply_portal_value(json!({
            "metadata": {"name": "portal"},
            "spec": {
                "profile": "Development",
                "components": [{"name": "web", "image": "registry.local/app:1"}],
            },
        }))
        .await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let deletions: Vec<_> = operator
        .writes()
        .into_iter()
        .filter(|write| write.verb == "delete")
        .collect();
    assert_eq!(deletions.len(), uids.len() - 1, "{deletions:#?}");
    for deletion in deletions {
        let uid = &uids[&(deletion.kind.clone(), deletion.name.clone())];
        assert_eq!(&deletion.body["preconditions"]["uid"], uid, "{deletion:?}");
        assert_eq!(deletion.body["propagationPolicy"], "Background");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_children_are_adopted_by_a_new_portal_without_a_restart_of_the_pods() {
    let (space, operator) = Space::with_operator("orphans").await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let deployment = space.get("Deployment", "portal-app").await;
    let pods = space.list("Pod").await;

    space.delete_orphaning("PortalPlatform", "portal").await;
    space
        .wait_object("Deployment", "portal-app", "is an orphan", |found| {
            found["metadata"]["ownerReferences"].is_null()
        })
        .await;
    space.wait_portal("portal", "is gone", Value::is_null).await;
    let portal = space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    operator.settle().await;

    let adopted = space.get("Deployment", "portal-app").await;
    assert_eq!(adopted["metadata"]["uid"], deployment["metadata"]["uid"]);
    assert_eq!(
        adopted["metadata"]["generation"],
        deployment["metadata"]["generation"]
    );
    let now = space.list("Pod").await;
    assert_eq!(now[0]["metadata"]["uid"], pods[0]["metadata"]["uid"]);
    for child in space.children().await {
        assert_eq!(
            child["metadata"]["ownerReferences"][0]["uid"], portal["metadata"]["uid"],
            "{child:#}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_created_again_at_once_waits_for_its_former_children_to_go() {
    let (space, operator) = Space::with_operator("again").await;
    space.apply_portal_value(samples::ingress()).await;
    space
        .wait_object("Deployment", "portal-app", "runs", |found| {
            found["status"]["readyReplicas"] == 3
        })
        .await;
    operator.settle().await;
    for _ in 0..3 {
        space.delete("PortalPlatform", "portal").await;
        let portal = space.apply_portal_value(samples::ingress()).await;
        space
            .wait_for(
                Duration::from_mins(1),
                "all children are of the new portal",
                || async {
                    let children = space.children().await;
                    let new = children.iter().all(|child| {
                        child["metadata"]["ownerReferences"][0]["uid"] == portal["metadata"]["uid"]
                    });
                    (new && children.len() == 10).then_some(())
                },
            )
            .await;
    }
    space
        .wait_object("Deployment", "portal-app", "runs", |found| {
            found["status"]["readyReplicas"] == 3
        })
        .await;
}

//! The database of a portal on a real control plane, with a stand-in for CloudNativePG: when components start, what survives,
//! and what is never touched.
// Over 400 lines: one life of a database, a test for each thing that may happen to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{Operator, Space, condition, database, record::Record, space::PATIENCE};

/// A portal of a profile, with all that it has by default.
fn portal(profile: &str) -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {"profile": profile, "preset": "Generic", "image": "registry.local/app:1", "database": {}},
    })
}

fn with(mut portal: Value, database: Value) -> Value {
    portal["spec"]["database"] = database;
    portal
}

async fn cluster(space: &Space) -> Value {
    space
        .wait_object("Cluster", "portal-db", "it is there", |cluster| {
            cluster["metadata"]["uid"].is_string()
        })
        .await
}

/// Deletes the portal and waits until its Deployment is gone.
async fn delete(space: &Space) {
    space.delete("PortalPlatform", "portal").await;
    space
        .wait_object("Deployment", "portal-app", "it is gone", Value::is_null)
        .await;
}

fn writes_of(operator: &Operator, kind: &str) -> Vec<Record> {
    operator
        .child_writes()
        .into_iter()
        .filter(|record| record.kind == kind)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn components_start_when_their_database_is_there_and_are_not_rolled_by_that() {
    let (space, operator) = Space::with_operator("db-start").await;
    space.apply_portal_value(portal("Production")).await;
    cluster(&space).await;
    let status = space
        .wait_portal("portal", "waits for the database", |portal| {
            condition(portal, "DatabaseReady")["status"] == "False"
        })
        .await;
    assert_eq!(condition(&status, "Ready")["status"], "False");
    let message = condition(&status, "Ready")["message"].to_string();
    assert!(message.contains("Cluster portal-db"), "{message}");
    operator.settle().await;
    assert!(space.get("Deployment", "portal-app").await.is_null());

    let _cloudnative_pg = database::play(&space);
    let status = space.wait_ready("portal").await;
    assert_eq!(condition(&status, "DatabaseReady")["status"], "True");
    assert_eq!(status["status"]["database"]["primary"], "portal-db-1");
    assert_eq!(status["status"]["database"]["ready"], 3);
    operator.settle().await;
    let deployment = space.get("Deployment", "portal-app").await;
    let sets = space.list("ReplicaSet").await;
    assert_eq!(sets.len(), 1, "the pods were rolled: {deployment:#}");
    // One look at the name, one write.
    for kind in ["clusters", "poolers"] {
        let asked: Vec<_> = operator
            .requests()
            .iter()
            .filter(|record| record.kind == kind)
            .map(|record| record.verb)
            .collect();
        assert_eq!(asked, ["get", "apply"], "{kind}");
    }

    // Another restart of the operator finds all as it was.
    let before = operator.child_writes().len();
    drop(operator);
    let operator = Operator::of(support::Bed::shared().await, &space.namespace).await;
    operator.settle().await;
    assert!(operator.child_writes().is_empty(), "{before} writes before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_rolls_the_pods() {
    let (space, operator) = Space::with_operator("db-password").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal("Development")).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let config = |deployment: &Value| {
        deployment["spec"]["template"]["metadata"]["annotations"]["portalplatform.dev/config"]
            .clone()
    };
    let before = config(&space.get("Deployment", "portal-app").await);
    let version = json!({"secretsResourceVersion": {"applicationSecretVersion": "8"}});
    space.merge_status("Cluster", "portal-db", version).await;
    space
        .wait_object(
            "Deployment",
            "portal-app",
            "its pods are rolled",
            |deployment| config(deployment) != before,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_database_outlives_its_portal_and_is_taken_back_untouched() {
    let (space, operator) = Space::with_operator("db-retain").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal("Staging")).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let before = cluster(&space).await;
    assert!(
        before["metadata"]["ownerReferences"].is_null(),
        "{before:#}"
    );

    delete(&space).await;
    space
        .wait_object("Pooler", "portal-db-pooler", "it is gone", Value::is_null)
        .await;
    space
        .wait_for(PATIENCE, "an event names what stays", || async {
            let events = space.list("Event").await;
            events
                .iter()
                .any(|event| {
                    event["reason"] == "DatabaseRetained"
                        && event["note"]
                            .as_str()
                            .or(event["message"].as_str())
                            .is_some_and(|note| note.contains("Cluster portal-db"))
                })
                .then_some(())
        })
        .await;
    let left = cluster(&space).await;
    assert_eq!(left["metadata"]["uid"], before["metadata"]["uid"]);

    space.apply_portal_value(portal("Staging")).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let after = cluster(&space).await;
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(
        after["metadata"]["generation"],
        before["metadata"]["generation"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_grew_is_taken_back_as_large_as_it_is() {
    let (space, operator) = Space::with_operator("db-grown").await;
    let _cloudnative_pg = database::play(&space);
    let sized = |storage: Value| with(portal("Staging"), json!({"managed": {"storage": storage}}));
    space
        .apply_portal_value(sized(json!({"size": "30Gi", "walSize": "3Gi"})))
        .await;
    space.wait_ready("portal").await;
    delete(&space).await;

    // By default it would be smaller, and have no volume for the log.
    space.apply_portal_value(portal("Staging")).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let after = cluster(&space).await;
    assert_eq!(after["spec"]["storage"]["size"], "30Gi");
    assert_eq!(after["spec"]["walStorage"]["size"], "3Gi");

    delete(&space).await;
    space
        .apply_portal_value(sized(json!({"size": "25Gi"})))
        .await;
    let message = space.wait_unready("portal", "InvalidSpec").await;
    assert!(
        message.contains("spec.database.managed.storage.size: the database has volumes of 30Gi"),
        "{message}"
    );
    assert_eq!(cluster(&space).await["spec"]["storage"]["size"], "30Gi");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_may_go_goes_with_its_portal() {
    let (space, _operator) = Space::with_operator("db-delete").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal("Development")).await;
    space.wait_ready("portal").await;
    delete(&space).await;
    space
        .wait_object("Cluster", "portal-db", "it is gone", Value::is_null)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_would_cost_data_is_refused_with_the_way_out() {
    let (space, operator) = Space::with_operator("db-edits").await;
    let _cloudnative_pg = database::play(&space);
    let live = with(
        portal("Production"),
        json!({"managed": {"version": 17, "storage": {"size": "10Gi", "walSize": "2Gi"}}}),
    );
    // Not smaller than the default, which is what was there before.
    let grown = with(
        portal("Production"),
        json!({"managed": {"version": 17, "storage": {"size": "30Gi", "walSize": "2Gi"}}}),
    );
    space.apply_portal_value(live).await;
    space.wait_ready("portal").await;
    let before = cluster(&space).await;
    space.apply_portal_value(grown.clone()).await;

    let refused = [
        (json!({"mode": "None"}), "database.mode cannot be changed"),
        (
            json!({"mode": "External", "external": {"host": "h", "credentialsSecretRef": {"name": "s"}}}),
            "database.mode cannot be changed",
        ),
        (
            json!({"managed": {"storage": {"size": "29Gi", "walSize": "2Gi"}}}),
            "cannot become smaller",
        ),
        (
            json!({"managed": {"storage": {"size": "30Gi"}}}),
            "can neither be removed",
        ),
        (
            json!({"managed": {"version": 16, "storage": {"size": "30Gi", "walSize": "2Gi"}}}),
            "cannot be lowered",
        ),
        (
            json!({"reclaimPolicy": "Delete", "managed": {"storage": {"size": "30Gi", "walSize": "2Gi"}}}),
            "database.confirmDelete to the name of the portal",
        ),
        (
            json!({"reclaimPolicy": "Delete", "confirmDelete": "other", "managed": {"storage": {"size": "30Gi", "walSize": "2Gi"}}}),
            "database.confirmDelete to the name of the portal",
        ),
    ];
    for (database, words) in refused {
        let error = space
            .try_apply_portal(with(portal("Production"), database.clone()))
            .await
            .expect_err(&database.to_string())
            .to_string();
        assert!(error.contains(words), "{database}: {error}");
    }
    let mut smaller_profile = grown.clone();
    smaller_profile["spec"]["profile"] = json!("Development");
    let error = space.try_apply_portal(smaller_profile).await.unwrap_err();
    assert!(error.to_string().contains("confirmDelete"), "{error}");

    let confirmed = json!({
        "reclaimPolicy": "Delete", "confirmDelete": "portal",
        "managed": {"storage": {"size": "30Gi", "walSize": "2Gi"}},
    });
    space
        .apply_portal_value(with(portal("Production"), confirmed))
        .await;
    let owned = space
        .wait_object("Cluster", "portal-db", "it has an owner", |cluster| {
            cluster["metadata"]["ownerReferences"][0]["name"] == "portal"
        })
        .await;
    assert_eq!(owned["metadata"]["uid"], before["metadata"]["uid"]);
    space.apply_portal_value(grown).await;
    space
        .wait_object("Cluster", "portal-db", "it has none any more", |cluster| {
            cluster["metadata"]["ownerReferences"].is_null()
        })
        .await;
    operator.settle().await;
    let deletions: Vec<_> = writes_of(&operator, "clusters")
        .into_iter()
        .filter(|record| record.verb == "delete")
        .collect();
    assert!(deletions.is_empty(), "{deletions:#?}");
    assert_eq!(
        cluster(&space).await["metadata"]["uid"],
        before["metadata"]["uid"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_image_and_new_parameters_are_written_one_after_the_other() {
    let (space, operator) = Space::with_operator("db-image").await;
    let _cloudnative_pg = database::play(&space);
    let of = |image: &str, work_mem: &str| {
        let managed = json!({"imageName": image, "parameters": {"work_mem": work_mem}});
        with(portal("Development"), json!({"managed": managed}))
    };
    space
        .apply_portal_value(of("registry.local/p:17.1", "8MB"))
        .await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let from = writes_of(&operator, "clusters").len();
    space
        .apply_portal_value(of("registry.local/p:17.2", "9MB"))
        .await;
    space
        .wait_object("Cluster", "portal-db", "it has the new image", |cluster| {
            cluster["spec"]["imageName"] == "registry.local/p:17.2"
        })
        .await;
    operator.settle().await;
    let steps: Vec<_> = writes_of(&operator, "clusters")[from..]
        .iter()
        .map(|record| {
            let spec = &record.body["spec"];
            let memory = &spec["postgresql"]["parameters"]["work_mem"];
            (spec["imageName"].clone(), memory.clone())
        })
        .collect();
    let step = |image: &str| (json!(image), json!("9MB"));
    assert_eq!(
        steps,
        [step("registry.local/p:17.1"), step("registry.local/p:17.2")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_of_the_webhook_of_cloudnative_pg_are_left_alone() {
    let (space, operator) = Space::with_operator("db-defaults").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal("Production")).await;
    space.wait_ready("portal").await;
    operator.settle().await;
    let written = operator.child_writes().len();
    let defaults = json!({
        "spec": {
            "logLevel": "info",
            "backup": {"target": "prefer-standby"},
            "monitoring": {"customQueriesConfigMap": [{"name": "cnpg-default-monitoring", "key": "queries"}]},
            "postgresql": {"parameters": {"wal_keep_size": "512MB", "max_replication_slots": "32"}},
        },
    });
    space
        .merge_as("Cluster", "portal-db", "cloudnative-pg", defaults)
        .await;
    operator.settle().await;
    assert_eq!(operator.child_writes().len(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_hibernates_with_its_portal_only_where_that_was_asked_for() {
    for (asked, word) in [
        (json!("Hibernate"), json!("on")),
        (json!("Run"), Value::Null),
    ] {
        let (space, operator) = Space::with_operator("db-hibernate").await;
        let _cloudnative_pg = database::play(&space);
        let mut manifest = with(
            portal("Development"),
            json!({"managed": {"whenSuspended": asked}}),
        );
        space.apply_portal_value(manifest.clone()).await;
        space.wait_ready("portal").await;
        operator.settle().await;
        manifest["spec"]["suspend"] = json!(true);
        let applied = space.apply_portal_value(manifest.clone()).await;
        space
            .wait_portal("portal", "is seen to be suspended", |portal| {
                portal["status"]["observedGeneration"] == applied["metadata"]["generation"]
            })
            .await;
        operator.settle().await;
        let hibernation =
            |cluster: &Value| cluster["metadata"]["annotations"]["cnpg.io/hibernation"].clone();
        assert_eq!(hibernation(&cluster(&space).await), word);
        manifest["spec"]["suspend"] = json!(false);
        space.apply_portal_value(manifest).await;
        let awake = if word.is_null() {
            Value::Null
        } else {
            json!("off")
        };
        space
            .wait_object("Cluster", "portal-db", "it is awake", |cluster| {
                hibernation(cluster) == awake
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_database_or_pooler_of_the_same_name_is_not_touched() {
    let (space, operator) = Space::with_operator("db-foreign").await;
    let foreigners = [
        json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "portal-db"},
            "spec": {"instances": 1, "storage": {"size": "1Gi"}},
        }),
        json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "Pooler",
            "metadata": {"name": "portal-db-pooler"},
            "spec": {"cluster": {"name": "other"}, "instances": 1, "type": "rw", "pgbouncer": {"poolMode": "session"}},
        }),
    ];
    let mut before = Vec::new();
    for foreigner in foreigners {
        before.push(space.create(foreigner).await);
    }
    space.apply_portal_value(portal("Staging")).await;
    let message = space.wait_unready("portal", "ObjectConflict").await;
    assert!(message.contains("Cluster portal-db exists"), "{message}");
    operator.settle().await;
    let conflicts = space.portal("portal").await["status"]["conflicts"].to_string();
    for foreigner in before {
        let kind = foreigner["kind"].as_str().unwrap();
        let name = foreigner["metadata"]["name"].as_str().unwrap();
        assert!(conflicts.contains(name), "{conflicts}");
        let after = space.get(kind, name).await;
        assert_eq!(
            after["metadata"]["resourceVersion"],
            foreigner["metadata"]["resourceVersion"]
        );
    }
    assert!(space.get("Deployment", "portal-app").await.is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_does_not_grow_with_the_spec_is_told_until_it_has() {
    let (space, _operator) = Space::with_operator("db-volume").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal("Development")).await;
    space.wait_ready("portal").await;
    let volume = json!({
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "portal-db-1",
            "labels": {"portalplatform.dev/name": "portal", "cnpg.io/pvcRole": "PG_DATA"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
            "resources": {"requests": {"storage": "20Gi"}},
        },
    });
    space.create(volume).await;
    let large = with(
        portal("Development"),
        json!({"managed": {"storage": {"size": "30Gi"}}}),
    );
    space.apply_portal_value(large).await;
    let message = space.wait_unready("portal", "VolumeGrowing").await;
    assert!(
        message.contains("PersistentVolumeClaim portal-db-1"),
        "{message}"
    );
    assert!(message.contains("StorageClass slow"), "{message}");
    space.delete("PersistentVolumeClaim", "portal-db-1").await;
    space.wait_ready("portal").await;
}

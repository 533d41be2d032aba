//! Backups on a real control plane, with a stand-in for CloudNativePG, the plugin and the primary: what is written, what status
//! shows, and what it costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{
    Bed, Operator, OperatorOptions, Space, condition, database, samples, space::PATIENCE,
};
use tokio::sync::watch;

fn portal() -> Value {
    let mut portal = samples::small();
    portal["spec"]["database"] = json!({"reclaimPolicy": "Delete"});
    portal["spec"]["backup"] = samples::backup();
    // Samples follow each other in five seconds.
    portal["spec"]["backup"]["objectives"] = json!({"rpo": "1m"});
    portal
}

/// The primary as the operator asks it.
struct Primary {
    answer: Arc<Mutex<Value>>,
    asked: watch::Receiver<usize>,
}

impl Primary {
    fn says(&self, answer: Value) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Waits until it has been asked so much more often.
    async fn asked(&mut self, more: usize) {
        let until = *self.asked.borrow() + more;
        let asked = self.asked.wait_for(|asked| *asked >= until);
        tokio::time::timeout(PATIENCE, asked)
            .await
            .expect("the primary was not asked")
            .unwrap();
    }
}

async fn stage(prefix: &str) -> (Space, Operator, Primary) {
    let bed = Bed::shared().await;
    let space = Space::new(bed, prefix).await;
    let answer = Arc::new(Mutex::new(database::archived()));
    let (sender, asked) = watch::channel(0);
    let says = answer.clone();
    let options = OperatorOptions {
        namespaces: vec![space.namespace.clone()],
        pods: Some(Arc::new(move |_| {
            sender.send_modify(|asked| *asked += 1);
            Ok(says.lock().unwrap().clone())
        })),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(bed, options).await;
    (space, operator, Primary { answer, asked })
}

fn policy<'a>(portal: &'a Value, name: &str) -> &'a Value {
    portal["status"]["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|policy| policy["name"] == name)
        .unwrap_or(&Value::Null)
}

async fn recovery_point(space: &Space, status: &str, reason: &str) -> Value {
    space
        .wait_portal("portal", reason, |portal| {
            let found = policy(portal, "RecoveryPoint");
            found["status"] == status && found["reason"] == reason
        })
        .await
}

async fn server_name(space: &Space) -> String {
    let cluster = space
        .wait_object("Cluster", "portal-db", "it archives", |cluster| {
            cluster["spec"]["plugins"].is_array()
        })
        .await;
    let name = &cluster["spec"]["plugins"][0]["parameters"]["serverName"];
    name.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_the_primary_the_plugin_and_the_job_say() {
    let (space, _operator, _) = stage("backup").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    let portal = recovery_point(&space, "True", "WithinObjective").await;
    assert_eq!(policy(&portal, "RecoveryPoint")["observed"], "<15s");
    assert_eq!(policy(&portal, "BackupFresh")["status"], "True");
    let database = &portal["status"]["database"];
    assert!(database["recoverableFrom"].is_string());
    assert!(database["lastBackup"].is_string());
    assert_eq!(
        database["archived"]["serverName"],
        server_name(&space).await
    );
    assert_eq!(portal["status"]["integrations"]["barmanPlugin"], "Present");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_noticed_and_so_is_its_return() {
    let (space, operator, primary) = stage("backup-hang").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    recovery_point(&space, "True", "WithinObjective").await;

    // Segments wait, and nobody says so but the primary.
    let mut stuck = database::archived();
    stuck["currentLsn"] = json!("0/9000060");
    stuck["readyWalFiles"] = json!(2);
    primary.says(stuck);
    let portal = space
        .wait_portal("portal", "its store hangs", |portal| {
            policy(portal, "RecoveryPoint")["status"] == "False"
        })
        .await;
    let reason = policy(&portal, "RecoveryPoint")["reason"].as_str().unwrap();
    assert!(
        ["ArchivingStalled", "ObjectiveMissed"].contains(&reason),
        "{reason}"
    );
    assert_eq!(condition(&portal, "Ready")["status"], "True");

    let mut healed = database::archived();
    healed["currentLsn"] = json!("0/9000060");
    healed["lastArchivedWAL"] = json!("000000010000000000000009");
    primary.says(healed);
    recovery_point(&space, "True", "WithinObjective").await;
    operator.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_cost_no_request_to_the_api_server() {
    let (space, operator, mut primary) = stage("backup-rest").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    recovery_point(&space, "True", "WithinObjective").await;
    operator.settle().await;
    let from = operator.requests().len();
    // Four more samples, each with a primary that went on and archived.
    for segment in 7..11 {
        let mut next = database::archived();
        next["currentLsn"] = json!(format!("0/{segment:X}000060"));
        next["lastArchivedWAL"] = json!(format!("{:024X}", (1_u128 << 64) + segment));
        primary.says(next);
        primary.asked(1).await;
    }
    operator.settle().await;
    let requests: Vec<_> = operator.requests()[from..].to_vec();
    assert!(requests.is_empty(), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_life_of_a_database_archives_elsewhere_and_the_same_life_goes_on() {
    let (space, _operator, _) = stage("backup-lives").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    let first = server_name(&space).await;
    space.delete("PortalPlatform", "portal").await;
    space
        .wait_object("Cluster", "portal-db", "it is gone", Value::is_null)
        .await;
    let mut kept = portal();
    kept["spec"]["database"] = json!({"reclaimPolicy": "Retain"});
    space.apply_portal_value(kept.clone()).await;
    let second = server_name(&space).await;
    assert_ne!(first, second);

    recovery_point(&space, "True", "WithinObjective").await;
    space.delete("PortalPlatform", "portal").await;
    space
        .wait_object("Deployment", "portal-app", "it is gone", Value::is_null)
        .await;
    assert!(space.get("ObjectStore", "portal-db").await.is_object());
    space.apply_portal_value(kept).await;
    recovery_point(&space, "True", "WithinObjective").await;
    assert_eq!(server_name(&space).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_taken_away_leaves_the_way_to_the_backups() {
    let (space, _operator, _) = stage("backup-removed").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    recovery_point(&space, "True", "WithinObjective").await;
    let first = server_name(&space).await;
    let mut without = portal();
    without["spec"].as_object_mut().unwrap().remove("backup");
    space.apply_portal_value(without).await;
    recovery_point(&space, "False", "NoBackupDestination").await;
    for (kind, name) in [
        ("ScheduledBackup", "portal-db"),
        ("CronJob", "portal-db-archive"),
    ] {
        space
            .wait_object(kind, name, "it is gone", Value::is_null)
            .await;
    }
    let cluster = space.get("Cluster", "portal-db").await;
    assert!(cluster["spec"]["plugins"].is_null());
    assert!(space.get("ObjectStore", "portal-db").await.is_object());

    // What was written meanwhile is missing there, so that what follows needs a folder and a base backup of its own.
    space.apply_portal_value(portal()).await;
    assert_ne!(server_name(&space).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_operator_writes_nothing() {
    let (space, mut operator, _) = stage("backup-restart").await;
    let _cloudnative_pg = database::play(&space);
    space.apply_portal_value(portal()).await;
    recovery_point(&space, "True", "WithinObjective").await;
    operator.settle().await;
    let before = space.portal("portal").await;
    operator.stop().await;
    let from = operator.writes().len();
    operator.start_again();
    operator.settle().await;
    let writes = operator.writes();
    assert!(writes[from..].is_empty(), "{:?}", &writes[from..]);
    assert_eq!(space.portal("portal").await["status"], before["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_of_the_same_name_is_not_touched() {
    let (space, operator, _) = stage("backup-foreign").await;
    let _cloudnative_pg = database::play(&space);
    let job = json!({"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "other", "image": "registry.local/other:1"}],
    }}}});
    let foreigners = [
        json!({
            "apiVersion": "barmancloud.cnpg.io/v1", "kind": "ObjectStore", "metadata": {"name": "portal-db"},
            "spec": {"configuration": {"destinationPath": "s3://theirs/"}},
        }),
        json!({
            "apiVersion": "postgresql.cnpg.io/v1", "kind": "ScheduledBackup", "metadata": {"name": "portal-db"},
            "spec": {"cluster": {"name": "theirs"}, "schedule": "0 0 0 1 1 *"},
        }),
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "portal-db-archive"},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": job},
        }),
    ];
    let mut before = Vec::new();
    for foreigner in foreigners {
        before.push(space.create(foreigner).await);
    }
    space.apply_portal_value(portal()).await;
    space
        .wait_portal("portal", "it names all three", |portal| {
            let conflicts = portal["status"]["conflicts"].as_array();
            conflicts.is_some_and(|conflicts| conflicts.len() == 3)
        })
        .await;
    operator.settle().await;
    for foreigner in before {
        let kind = foreigner["kind"].as_str().unwrap();
        let name = foreigner["metadata"]["name"].as_str().unwrap();
        let after = space.get(kind, name).await;
        // The stand-in for the plugin writes to the status of every ObjectStore that is used.
        for field in ["generation", "labels", "annotations", "ownerReferences"] {
            assert_eq!(after["metadata"][field], foreigner["metadata"][field]);
        }
        assert_eq!(after["spec"], foreigner["spec"]);
        let managers = after["metadata"]["managedFields"].to_string();
        assert!(!managers.contains("portal-operator"), "{managers}");
    }
}

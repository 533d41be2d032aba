//! What a real CloudNativePG 1.30 reported through the life of a database, as `make e2e` saw it, and what is said of it.
//!
//! `UPDATE=1` writes the sentences anew.

use std::fmt::Write as _;

use k8s_openapi::jiff::SignedDuration;
use portal_operator::{
    api::status::{ConditionType, PolicyName},
    children::{
        by_kind,
        live::{Health, Live},
    },
    observe::Archiving,
    recovery_point::Reading,
    runtime::{queue::PortalKey, samples::Samples},
};
use serde_json::Value;

use super::{Case, find, policy_of, world::change};

const STATUSES: &str = include_str!("../recordings/cloudnative-pg-1.30.json");

#[test]
fn every_recorded_status_is_a_sentence() {
    let recorded: Vec<Value> = serde_json::from_str(STATUSES).unwrap();
    let mut text = String::new();
    for cluster in recorded {
        let mut case = Case::serving("{image: a, profile: Production, database: {}}");
        let live: Live = serde_json::from_value(cluster.clone()).unwrap();
        let health = by_kind("Cluster").unwrap().health(&live);
        change(&mut case.world, "Cluster", "harbor-db", |child| {
            child.health = health.clone();
        });
        let condition = case.condition(ConditionType::DatabaseReady).unwrap();
        let status = &cluster["status"];
        let said = format!(
            "{}: {} ({} ready)\n    {:?} {}: {}\n",
            status["phase"].as_str().unwrap_or("no phase"),
            status["phaseReason"].as_str().unwrap_or("no reason"),
            status["readyInstances"].as_i64().unwrap_or(0),
            condition.status,
            condition.reason,
            condition.message,
        );
        if !text.contains(&said) {
            text.push_str(&said);
        }
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/recordings/cloudnative-pg-1.30.out.txt"
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(file).unwrap());
}

const BACKUPS: &str = include_str!("../recordings/barman-cloud-0.14.json");

/// What a real CloudNativePG 1.30 with the Barman Cloud plugin 0.14 and a real S3 server reported in each failure: status of the
/// Cluster, window of the object store, answer of the primary.
#[test]
fn every_recorded_failure_of_a_store_is_a_sentence() {
    let recorded: Vec<Value> = serde_json::from_str(BACKUPS).unwrap();
    let mut text = String::new();
    for failure in recorded {
        let mut case = Case::serving(
            "{image: a, profile: Staging, database: {}, backup: {destination: {path: 's3://b', credentialsSecretRef: {name: s3}}}}",
        );
        let live: Live = serde_json::from_value(failure.clone()).unwrap();
        let Health::Cluster(mut cluster) = by_kind("Cluster").unwrap().health(&live) else {
            panic!("a Cluster has another state");
        };
        let server = case.plan.backup.as_ref().unwrap().server_name.clone();
        cluster.server_name = Some(server.clone());
        cluster.created = Some("2026-11-21T20:07:00Z".parse().unwrap());
        change(&mut case.world, "Cluster", "harbor-db", |child| {
            child.health = Health::Cluster(cluster.clone());
        });
        change(&mut case.world, "ObjectStore", "harbor-db", |child| {
            let Health::ObjectStore { windows, .. } = &mut child.health else {
                panic!("an ObjectStore has another state");
            };
            let window = serde_json::from_value(failure["window"].clone()).unwrap();
            windows.insert(server, window);
        });
        case.world.archiving = Some(sampled(&failure["primary"]));
        let status = case.assess_at("2026-11-21T20:30:00Z").status;
        text.push_str(failure["case"].as_str().unwrap());
        text.push('\n');
        let database = find(&status, ConditionType::DatabaseReady).unwrap();
        for (name, status, reason, message) in [(
            "DatabaseReady",
            database.status,
            database.reason,
            Some(database.message),
        )]
        .into_iter()
        .chain(
            [PolicyName::RecoveryPoint, PolicyName::BackupFresh].map(|name| {
                let policy = policy_of(&status, name);
                (name.as_str(), policy.status, policy.reason, policy.message)
            }),
        ) {
            let message = message.map_or_else(String::new, |message| format!(": {message}"));
            writeln!(text, "    {name} {status:?} {reason}{message}").unwrap();
        }
    }
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/recordings/barman-cloud-0.14.out.txt"
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(file).unwrap());
}

/// What is known when the primary gave this answer now and 75 s ago, and had archived all before.
fn sampled(answer: &Value) -> Archiving {
    let samples = Samples::default();
    let key = PortalKey::new("docks", "harbor");
    let _ = samples.begin(&key, None);
    let mut before = answer.clone();
    before["currentLsn"] = "0/1000000".into();
    before["readyWalFiles"] = 0.into();
    for (at, answer) in [
        ("2026-11-21T20:25:00Z", &before),
        ("2026-11-21T20:28:45Z", answer),
        ("2026-11-21T20:30:00Z", answer),
    ] {
        let reading = Reading::parse(at.parse().unwrap(), answer, false).unwrap();
        let _ = samples.answered(&key, "pg-1", &reading, SignedDuration::from_mins(5), None);
    }
    samples.archiving(&key).unwrap()
}

//! What a real CloudNativePG 1.30 reported through the life of a database, as `make e2e` saw it, and what is said of it.
//!
//! `UPDATE=1` writes the sentences anew.

use portal_operator::{
    api::status::ConditionType,
    children::{by_kind, live::Live},
};
use serde_json::Value;

use super::{Case, world::change};

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

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The operator may die before or after any request: the next one ends in the same state, with the same objects made and
//! removed.
// Over 400 lines: the scenarios stand with what is masked when their ends are compared.

#[path = "support/faults.rs"]
mod faults;
mod support;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use faults::{Fault, Faults, Key};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use support::{Bed, Operator, OperatorOptions, Space, controllers, database, samples};

/// Cases at the same time.
const PARALLEL: usize = 8;

/// What happens to the portal.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scenario {
    /// Generic, created behind a Gateway.
    Create,
    /// Backstage, whose first pod has to start alone, on a database that has to be there before.
    FirstStart,
    /// It moves from a Gateway to an Ingress, loses a component and its autoscaler, and has a new image.
    Update,
    /// The database gets a new image and a parameter, which cannot be written at once, and loses its pooler.
    Database,
    /// The database gets backups.
    Backup,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario::Create,
    Scenario::FirstStart,
    Scenario::Update,
    Scenario::Database,
    Scenario::Backup,
];

impl Scenario {
    /// The portal as it is before the faults; `None`: there is none.
    fn before(self) -> Option<Value> {
        match self {
            Self::Create | Self::FirstStart => None,
            Self::Backup => Some(Self::with_database(json!({}))),
            Self::Update => {
                let mut portal = Self::small(samples::gateway());
                portal["spec"]["components"] = json!([
                    {"name": "app", "image": "registry.local/app:1", "path": "/"},
                    {"name": "worker", "image": "registry.local/worker:1"},
                ]);
                Some(portal)
            }
            Self::Database => Some(Self::with_database(json!({
                "managed": {"imageName": "registry.local/p:17.1"},
            }))),
        }
    }

    fn with_backup() -> Value {
        let mut portal = Self::with_database(json!({}));
        portal["spec"]["backup"] = samples::backup();
        portal
    }

    fn with_database(database: Value) -> Value {
        let mut portal = Self::small(samples::small());
        portal["spec"]["database"] = database;
        portal
    }

    /// The same with two pods for each component, which is enough and cheaper than three.
    fn small(mut portal: Value) -> Value {
        portal["spec"]["profile"] = json!("Staging");
        portal
    }

    /// The portal whose way into the cluster is broken off.
    fn after(self) -> Value {
        match self {
            Self::Create => Self::small(samples::gateway()),
            Self::Backup => Self::with_backup(),
            Self::FirstStart => {
                let mut portal = Self::small(samples::gateway());
                portal["spec"]["preset"] = json!("Backstage");
                portal["spec"]["database"] = json!({});
                portal
            }
            Self::Database => Self::with_database(json!({
                "managed": {
                    "imageName": "registry.local/p:17.2", "parameters": {"work_mem": "9MB"},
                    "pooler": {"mode": "None"},
                },
            })),
            Self::Update => {
                let mut portal = Self::small(samples::ingress());
                portal["spec"]["components"][0]["image"] = json!("registry.local/app:2");
                portal["spec"]["components"][0]["scaling"] =
                    json!({"minReplicas": 1, "maxReplicas": 1});
                portal
            }
        }
    }
}

/// What a run ended in.
#[derive(PartialEq)]
struct End {
    /// Every object, masked.
    state: Vec<String>,
    /// What was created and deleted.
    made_and_removed: Vec<String>,
    /// Every request in between.
    requests: Vec<Key>,
    /// Whether the operator died.
    died: bool,
}

/// Runs a scenario; the operator dies at `crash`, if there is one, and lives again. What others report, such as a budget,
/// may come later, so the end is waited for: `expected`, or one that stays.
async fn run(
    scenario: Scenario,
    crash: Option<(Key, Fault)>,
    expected: Option<Vec<String>>,
) -> End {
    let bed = Bed::shared().await;
    let space = Space::new(bed, "crash").await;
    let _controllers = controllers::play(&space);
    let _cloudnative_pg = database::play(&space);
    let pods = space.history("Pod").await;
    let faults = Faults::default();
    let options = OperatorOptions {
        namespaces: vec![space.namespace.clone()],
        connect: Some(faults.wrap()),
        ..OperatorOptions::default()
    };
    let mut operator = Operator::start(bed, options).await;
    if let Some(before) = scenario.before() {
        space.apply_portal_value(before).await;
        ready(&space).await;
        operator.settle().await;
    }
    let from = faults.seen().len();
    // How often a child was written before depends on the pace of its pods.
    faults.count_anew();
    if let Some((at, fault)) = crash {
        faults.on_requests(move |key| (*key == at).then_some(fault));
    }
    space.apply_portal_value(scenario.after()).await;
    let died = tokio::select! {
        () = faults.crashed() => true,
        () = all_done(&space, &operator) => false,
    };
    if died {
        operator.crash().await;
        faults.heal();
        operator.start_again();
    }
    ready(&space).await;
    operator.settle().await;
    // A rollout that ended just before may still be written.
    ready(&space).await;
    if scenario == Scenario::FirstStart {
        let mut ready = false;
        let mut alive = std::collections::BTreeSet::new();
        for change in pods.changes() {
            let (support::history::Change::Is(pod) | support::history::Change::Gone(pod)) = &change;
            if pod["metadata"]["labels"]["portalplatform.dev/component"] != "app" {
                continue;
            }
            alive.insert(pod["metadata"]["name"].to_string());
            assert!(
                ready || alive.len() == 1,
                "two pods in the first start: {alive:?}"
            );
            ready |= support::condition(pod, "Ready")["status"] == "True";
        }
        assert!(ready);
    }
    let end = Instant::now() + Duration::from_secs(60);
    let mut found = state(&space).await;
    loop {
        let reached = if let Some(expected) = &expected {
            found == *expected
        } else {
            tokio::time::sleep(Duration::from_secs(3)).await;
            let before = std::mem::replace(&mut found, state(&space).await);
            found == before
        };
        if reached || Instant::now() > end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        found = state(&space).await;
    }
    End {
        state: found,
        made_and_removed: faults.made_and_removed(),
        requests: faults.seen()[from..]
            .iter()
            .map(|seen| seen.key.clone())
            .filter(Key::is_work)
            .collect(),
        died,
    }
}

/// The end of a run that nothing breaks off.
async fn all_done(space: &Space, operator: &Operator) {
    ready(space).await;
    operator.settle().await;
}

/// Far longer than anything takes: many cases share a machine.
async fn ready(space: &Space) {
    let what = "PortalPlatform portal: is Ready";
    space
        .wait_for(Duration::from_secs(120), what, || async {
            let portal = space.portal("portal").await;
            let ready = support::condition(&portal, "Ready");
            let current = ready["observedGeneration"] == portal["metadata"]["generation"];
            (ready["status"] == "True" && current).then_some(())
        })
        .await;
}

/// The portal and its children without what differs from run to run.
async fn state(space: &Space) -> Vec<String> {
    let mut portal = space.portal("portal").await;
    let uid = portal["metadata"]["uid"].as_str().unwrap().to_owned();
    let status = &mut portal["status"];
    status["applied"] = json!("over uids");
    status["policiesHeld"] = json!("depends on the autoscaler, below");
    status["effective"]["revision"] = json!("over the namespace");
    for list in ["conditions", "policies"] {
        let items = status[list].as_array_mut().unwrap();
        // The autoscaler has figures of its pods only after twenty seconds, and samples and backups come at their own pace.
        items.retain(|item| {
            let name = item["name"].as_str().unwrap_or_default();
            ![
                "Autoscaling",
                "RecoveryPoint",
                "BackupFresh",
                "BackupRetained",
            ]
            .contains(&name)
                && item["type"] != "PolicyCompliant"
        });
        for item in items {
            if item["name"] == "TransportSecure" {
                item["observed"] = json!("when the certificate was made");
            }
            item["lastTransitionTime"] = Value::Null;
            item["evidence"] = Value::Null;
        }
    }
    let database = &mut status["database"];
    let server = database["archived"]["serverName"]
        .as_str()
        .unwrap_or("no server")
        .to_owned();
    for time in ["recoverableFrom", "lastBackup"] {
        database[time] = Value::Null;
    }
    database["archived"] = Value::Null;
    let mut objects = space.children().await;
    for child in &mut objects {
        child["status"] = Value::Null;
        child["spec"]["clusterIP"] = Value::Null;
        child["spec"]["clusterIPs"] = Value::Null;
    }
    objects.push(portal);
    let mut lines = Vec::new();
    for mut object in objects {
        let name = support::space::name_of(&object);
        let metadata = object["metadata"].as_object_mut().unwrap();
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            metadata.remove(field);
        }
        // Those of other managers tell when they wrote their status.
        let entries = metadata["managedFields"].as_array_mut().unwrap();
        entries.retain(|entry| {
            entry["manager"]
                .as_str()
                .unwrap()
                .starts_with("portal-operator")
                && entry["subresource"] != "status"
        });
        for entry in &mut *entries {
            entry["time"] = Value::Null;
        }
        entries.sort_by_key(ToString::to_string);
        flatten(&name, &object, &mut lines);
    }
    for line in &mut lines {
        *line = line
            .replace(&uid, "UID")
            .replace(&server, "SERVER")
            .replace(&space.namespace, "NAMESPACE");
    }
    lines
}

/// One line a field.
fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                flatten(&format!("{path}.{name}"), field, lines);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, lines);
            }
        }
        leaf => lines.push(format!("{path} = {leaf}")),
    }
}

/// What two lists of lines differ in.
fn difference(expected: &[String], found: &[String]) -> String {
    let only = |these: &[String], others: &[String], sign: &str| {
        these
            .iter()
            .filter(|line| !others.contains(line))
            .fold(String::new(), |text, line| text + sign + " " + line + "\n")
    };
    only(expected, found, "-") + &only(found, expected, "+")
}

/// Writes, as nothing differs before and after a read; `PORTAL_CRASH=all` takes the reads as well, and
/// `PORTAL_CRASH="Create/CrashAfter/apply services portal-app #0"` one case alone.
async fn every_crash_of(scenario: Scenario) {
    let reference = run(scenario, None, None).await;
    let only = std::env::var("PORTAL_CRASH").ok();
    let mut cases = Vec::new();
    for key in &reference.requests {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let name = format!("{scenario:?}/{fault:?}/{key}");
            // A status may be written once more or less, as the pods' pace has it; events are a courtesy.
            let steady = key.kind != "events"
                && (key.kind != "portalplatforms/status" || key.occurrence == 0);
            let wanted = match only.as_deref() {
                None => key.verb != "get",
                Some("all") => true,
                Some(only) => only == name,
            };
            if steady && wanted {
                cases.push((name, key.clone(), fault));
            }
        }
    }
    let began = Instant::now();
    let count = cases.len();
    let reference = &reference;
    let deaths = &AtomicUsize::new(0);
    let failures: Vec<String> = stream::iter(cases)
        .map(|(name, key, fault)| async move {
            // A second write of a child follows the pace of its pods as well, and may be needless this time.
            let always = key.occurrence == 0;
            let expected = Some(reference.state.clone());
            let run = tokio::spawn(run(scenario, Some((key, fault)), expected)).await;
            let problem = match run {
                Err(error) => match error.into_panic().downcast::<String>() {
                    Ok(text) => *text,
                    Err(_) => "panicked".to_owned(),
                },
                Ok(end) => {
                    let mut problem = difference(&reference.state, &end.state);
                    deaths.fetch_add(usize::from(end.died), Ordering::Relaxed);
                    if always && !end.died {
                        problem.push_str("the request was not made\n");
                    }
                    // The answers to requests in flight at the crash are not known, so there may be fewer.
                    let mut allowed = reference.made_and_removed.clone();
                    for line in &end.made_and_removed {
                        if let Some(at) = allowed.iter().position(|other| other == line) {
                            allowed.swap_remove(at);
                        } else {
                            problem.push_str("made or removed once more: ");
                            problem.push_str(line);
                            problem.push('\n');
                        }
                    }
                    problem
                }
            };
            (!problem.is_empty()).then(|| {
                format!(
                    "{name}\n  replay: PORTAL_CRASH={name:?} cargo test --test crash\n{problem}"
                )
            })
        })
        .buffer_unordered(PARALLEL)
        .filter_map(|failure| async { failure })
        .collect()
        .await;
    let deaths = deaths.load(Ordering::Relaxed);
    println!(
        "{scenario:?}: {deaths} crashes of {count} in {:?}",
        began.elapsed()
    );
    assert!(
        failures.is_empty(),
        "{} of {count} crashes went wrong:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_of_a_creation_changes_nothing_in_the_end() {
    every_crash_of(SCENARIOS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_of_a_first_start_changes_nothing_in_the_end() {
    every_crash_of(SCENARIOS[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_of_an_update_changes_nothing_in_the_end() {
    every_crash_of(SCENARIOS[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_of_a_change_of_the_database_changes_nothing_in_the_end() {
    every_crash_of(SCENARIOS[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_request_while_backups_are_set_up_changes_nothing_in_the_end() {
    every_crash_of(SCENARIOS[4]).await;
}

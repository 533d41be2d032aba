#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What a portal costs in requests, scenario by scenario, to the request.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Operator, Record, Space, condition, controllers, database, samples};

/// A portal of ten lines.
fn portal(preset: &str) -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {
            "profile": "Production",
            "preset": preset,
            "image": "registry.local/portal@sha256:3f1c9a7d5e20b8416c7f0e9d2a35b1846fd07c8e9b12a4f36d58e07194c2ab3d",
            "host": "portal.example.com",
            "exposure": {"gatewayRef": {"name": "public", "namespace": "infra"}},
        },
    })
}

/// Verb, kind and name of everything but status writes, sorted.
fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records
        .iter()
        .filter(|record| record.subresource != "status")
        .map(|record| {
            let verb = match record.manager.as_str() {
                "portal-operator-handover" => "hand-over",
                _ => record.verb,
            };
            format!("{verb} {} {}", record.kind, record.name)
        })
        .collect();
    lines.sort();
    lines
}

fn status_writes(records: &[Record]) -> Vec<&Record> {
    records
        .iter()
        .filter(|record| record.is_write() && record.subresource == "status")
        .collect()
}

/// What each request must carry: a name for its fields, force only for what is known to be ours, and no way to hit an object
/// that has taken a name over.
fn check(records: &[Record]) {
    for record in records {
        let text = format!("{record:?}");
        let force = record.query.contains("force=true");
        let body_uid = record.body["metadata"]["uid"].is_string();
        match record.verb {
            "get" => assert!(record.body.is_null(), "{text}"),
            "apply" => {
                assert!(record.manager.starts_with("portal-operator"), "{text}");
                let handed_over = record.manager == "portal-operator-handover";
                assert_eq!(
                    force,
                    body_uid || handed_over,
                    "force without a uid: {text}"
                );
            }
            "delete" => assert!(
                record.body["preconditions"]["uid"].is_string(),
                "without a precondition: {text}"
            ),
            _ => panic!("an unexpected kind of request: {text}"),
        }
    }
}

/// What happens within a step, once all is quiet, without watches, leases and events.
async fn step(operator: &Operator, from: usize) -> Vec<Record> {
    operator.settle().await;
    let records = operator.requests()[from..].to_vec();
    check(&records);
    records
}

/// The children of the portal as `VERB kind name`, for the verbs that a kind is asked with.
fn expected(verbs: &[&str], extra: &[&str]) -> Vec<String> {
    let children = [
        "configmaps portal-app",
        "deployments portal-app",
        "horizontalpodautoscalers portal-app",
        "httproutes portal",
        "networkpolicies portal-app",
        "poddisruptionbudgets portal-app",
        "serviceaccounts portal",
        "services portal-app",
    ];
    let mut lines: Vec<String> = verbs
        .iter()
        .flat_map(|verb| children.iter().map(move |child| format!("{verb} {child}")))
        .chain(extra.iter().map(|&line| line.to_owned()))
        .collect();
    lines.sort();
    lines
}

/// Creates, and returns what that cost.
async fn create(
    space: &Space,
    operator: &Operator,
    preset: &str,
    most_status: usize,
) -> Vec<Record> {
    space.apply_portal_value(portal(preset)).await;
    space.wait_ready("portal").await;
    let records = step(operator, 0).await;
    let status = status_writes(&records);
    let ready = |record: &&Record| condition(&record.body, "Ready")["status"] == "True";
    let turned = status.iter().position(ready).unwrap();
    assert!(status[turned..].iter().all(ready), "Ready turned back");
    // A rollout that lasts may tell how it goes once a second.
    let seconds = status[turned].at.duration_since(status[0].at).as_secs();
    let most = most_status + usize::try_from(seconds).unwrap();
    assert!(turned < most, "{} status writes until Ready", turned + 1);
    println!(
        "{preset}: create {} requests, of which {} status writes until Ready after {seconds} s",
        records.len(),
        turned + 1
    );
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generic_portal_costs_one_look_and_one_write_a_child_and_later_only_what_changes() {
    let (space, mut operator) = Space::with_operator("budget").await;
    let _controllers = controllers::play(&space);
    let created = create(&space, &operator, "Generic", 2).await;
    let hand_over = "hand-over deployments portal-app";
    assert_eq!(lines(&created), expected(&["get", "apply"], &[hand_over]));
    later_steps(&space, &mut operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backstage_portal_costs_two_writes_more_for_its_gated_start() {
    let (space, mut operator) = Space::with_operator("budget").await;
    let _controllers = controllers::play(&space);
    let created = create(&space, &operator, "Backstage", 3).await;
    // Its Deployment is written once with one pod and once for the autoscaler, which takes the number over.
    let extra = [
        "hand-over deployments portal-app",
        "apply deployments portal-app",
    ];
    assert_eq!(lines(&created), expected(&["get", "apply"], &extra));
    later_steps(&space, &mut operator).await;
}

async fn later_steps(space: &Space, operator: &mut Operator) {
    // The figures of new pods take the metrics server some time; then the autoscaler's policy turns once.
    space
        .wait_portal("portal", "has its autoscaler judged", |portal| {
            portal["status"]["policies"].as_array().is_some_and(|all| {
                all.iter()
                    .any(|policy| policy["name"] == "Autoscaling" && policy["status"] == "True")
            })
        })
        .await;
    operator.settle().await;

    let from = operator.requests().len();
    let patch = json!({"metadata": {"annotations": {"example.com/touched": "yes"}}});
    space.merge("PortalPlatform", "portal", patch).await;
    let nothing = step(operator, from).await;
    assert_eq!(lines(&nothing), [""; 0], "an annotation of the portal");
    assert_eq!(
        status_writes(&nothing).len(),
        0,
        "an annotation of the portal"
    );

    let from = operator.requests().len();
    let patch = json!({"spec": {"exposure": {"timeouts": {"request": "45s"}}}});
    space.merge("PortalPlatform", "portal", patch).await;
    space.wait_ready("portal").await;
    let edit = step(operator, from).await;
    assert_eq!(lines(&edit), ["apply httproutes portal"], "an edit");
    // The route has a new generation, which its controller has to accept before the portal is Ready again.
    let status = status_writes(&edit).len();
    assert!((1..=2).contains(&status), "an edit: {status} status writes");

    let from = operator.requests().len();
    let patch = json!({"spec": {"publishNotReadyAddresses": true}});
    space.merge("Service", "portal-app", patch).await;
    let foreign = step(operator, from).await;
    assert_eq!(lines(&foreign), [""; 0], "a field that is not ours");

    let from = operator.requests().len();
    let patch = json!({"spec": {"minReplicas": 1}});
    space
        .merge("HorizontalPodAutoscaler", "portal-app", patch)
        .await;
    let drift = step(operator, from).await;
    println!("{drift:#?}");
    assert_eq!(
        lines(&drift),
        ["apply horizontalpodautoscalers portal-app"],
        "drift"
    );
    let drift_status = status_writes(&drift).len();
    assert!(drift_status <= 2, "drift: {drift_status} status writes");

    let from = operator.requests().len();
    space.delete("Service", "portal-app").await;
    let loss = step(operator, from).await;
    let remade = ["apply services portal-app", "get services portal-app"];
    assert_eq!(lines(&loss), remade, "a lost child");
    // Its new uid is part of what was applied.
    assert_eq!(status_writes(&loss).len(), 1, "a lost child");

    operator.crash().await;
    let from = operator.requests().len();
    operator.start_again();
    let restart = step(operator, from).await;
    assert_eq!(lines(&restart), [""; 0], "a restart");
    assert_eq!(status_writes(&restart).len(), 0, "a restart");

    let from = operator.requests().len();
    space.delete("PortalPlatform", "portal").await;
    space
        .wait_for(support::space::PATIENCE, "garbage is collected", || async {
            space.children().await.is_empty().then_some(())
        })
        .await;
    let deletion = step(operator, from).await;
    assert_eq!(lines(&deletion), [""; 0], "a deletion");
    println!(
        "touch 0, edit 1 + {status}, drift 1 + {drift_status}, lost child 2 + 1, restart 0, deletion 0 requests"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_converged_portal_costs_nothing_for_a_minute_but_watches() {
    let (space, operator) = Space::with_operator("idle").await;
    let _controllers = controllers::play(&space);
    space.apply_portal_value(portal("Generic")).await;
    space
        .wait_portal("portal", "is compliant", |portal| {
            condition(portal, "Ready")["status"] == "True"
                && portal["status"]["policies"].as_array().is_some_and(|all| {
                    all.iter()
                        .any(|policy| policy["name"] == "Autoscaling" && policy["status"] == "True")
                })
        })
        .await;
    operator.settle().await;
    let version = space.portal("portal").await["metadata"]["resourceVersion"].clone();
    let from = operator.all_requests().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut records = operator.all_requests()[from..].to_vec();
    let watches = records
        .iter()
        .filter(|record| record.verb == "watch")
        .count();
    // Bound to a namespace, the operator may not watch definitions and asks once a minute which groups there are.
    records.retain(|record| record.verb != "watch" && !record.kind.is_empty());
    assert!(records.is_empty(), "{records:#?}");
    assert!(
        watches <= 24,
        "each of 12 watches may begin anew once or twice, not {watches}"
    );
    let now = space.portal("portal").await["metadata"]["resourceVersion"].clone();
    assert_eq!(now, version, "somebody wrote the portal");
    println!("a minute at rest: {watches} watch requests, 0 others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_costs_one_look_and_one_write_for_each_object_of_it() {
    let (space, operator) = Space::with_operator("budget-database").await;
    let _controllers = controllers::play(&space);
    let _cloudnative_pg = database::play(&space);
    let mut with_database = portal("Generic");
    with_database["spec"]["database"] = json!({});
    with_database["spec"]["backup"] = samples::backup();
    space.apply_portal_value(with_database).await;
    space.wait_ready("portal").await;
    let records = step(&operator, 0).await;
    let of_database = [
        "clusters portal-db",
        "cronjobs portal-db-archive",
        "networkpolicies portal-db",
        "networkpolicies portal-db-archive",
        "networkpolicies portal-db-pooler",
        "objectstores portal-db",
        "poddisruptionbudgets portal-db-pooler",
        "poolers portal-db-pooler",
        "scheduledbackups portal-db",
    ];
    let found: Vec<_> = lines(&records)
        .into_iter()
        .filter(|line| line.contains("portal-db"))
        .collect();
    let mut wanted: Vec<_> = ["apply", "get"]
        .iter()
        .flat_map(|verb| {
            of_database
                .iter()
                .map(move |object| format!("{verb} {object}"))
        })
        .collect();
    wanted.sort();
    assert_eq!(found, wanted);
    let all = lines(&records).len();
    assert_eq!(
        all,
        expected(&["get", "apply"], &[]).len() + wanted.len() + 1,
        "and the hand-over"
    );
}

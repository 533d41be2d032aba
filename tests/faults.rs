#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Requests fail in every way and events get lost: each portal recovers by itself, and none disturbs its neighbours.
// Over 400 lines: every fault is judged by the same portal and the same helpers.

#[path = "support/faults.rs"]
mod faults;
mod support;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use faults::{EventFault, Fault, Faults, Key, Seen};
use futures::future::join_all;
use serde_json::{Value, json};
use support::{Bed, Operator, OperatorOptions, Record, Space, controllers};

/// Longest time from the end of a fault to the next try, on top of what a portal without faults takes in the same run.
const RECOVERY: Duration = Duration::from_secs(5);
/// For many portals on a busy machine.
const LONG: Duration = Duration::from_secs(150);

/// A portal with every kind of child but a Certificate, and one pod.
fn portal(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "profile": "Staging", "preset": "Generic", "host": format!("{name}.example.com"),
            "components": [{
                "name": "app", "image": "registry.local/app:1", "path": "/", "critical": false,
                "scaling": {"minReplicas": 1, "maxReplicas": 2, "cpu": {"averageUtilization": 70}},
            }],
            "exposure": {"gatewayRef": {"name": "public", "namespace": "infra"}},
        },
    })
}

async fn start(bed: &Bed, space: &Space, faults: &Faults) -> Operator {
    let options = OperatorOptions {
        namespaces: vec![space.namespace.clone()],
        connect: Some(faults.wrap()),
        // A request that hangs keeps its place for ten seconds, and here every portal has one.
        arguments: vec!["--concurrency=64".into()],
        ..OperatorOptions::default()
    };
    Operator::start(bed, options).await
}

/// The requests of a creation, as a portal named `name` makes them.
async fn reference(bed: &Bed, name: &str) -> (Vec<Key>, usize) {
    let space = Space::new(bed, "faults").await;
    let _controllers = controllers::play(&space);
    let faults = Faults::default();
    let operator = start(bed, &space, &faults).await;
    space.apply_portal_value(portal(name)).await;
    all_ready(&space, 1).await;
    operator.settle().await;
    let mut keys: Vec<Key> = faults.seen().into_iter().map(|seen| seen.key).collect();
    keys.retain(|key| key.is_work() && key.kind != "events" && key.occurrence == 0);
    keys.sort();
    (keys, space.children().await.len())
}

/// Waits until so many portals are Ready; returns when each was found so.
async fn all_ready(space: &Space, count: usize) -> BTreeMap<String, Instant> {
    let mut found = BTreeMap::new();
    let end = Instant::now() + LONG;
    while found.len() < count {
        for portal in space.list("PortalPlatform").await {
            let ready = support::condition(&portal, "Ready");
            if ready["status"] == "True"
                && ready["observedGeneration"] == portal["metadata"]["generation"]
            {
                let name = portal["metadata"]["name"].as_str().unwrap().to_owned();
                found.entry(name).or_insert_with(Instant::now);
            }
        }
        assert!(
            Instant::now() <= end,
            "{} of {count} portals are Ready: {:?}",
            found.len(),
            found.keys()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    found
}

/// What an operator asked about the portal of a request from then on.
fn story(seen: &[Seen], from: &Seen) -> String {
    seen.iter()
        .filter(|seen| seen.at >= from.at && seen.key.name.get(..3) == from.key.name.get(..3))
        .map(|seen| format!("{:?} {} {:?}", seen.at - from.at, seen.key, seen.code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How often a status of a portal was sent without a change.
fn most_repeated(writes: &[Record], portal: &str) -> usize {
    let sent: Vec<&Value> = writes
        .iter()
        .filter(|write| write.subresource == "status" && write.name == portal)
        .map(|write| &write.body)
        .collect();
    let times = |body| sent.iter().filter(|other| *other == body).count();
    sent.iter().map(times).max().unwrap()
}

/// One operator, one portal for each request that fails, and a neighbour.
async fn each_request_fails_with(bed: &Bed, keys: &[Key], children: usize, fault: Fault) {
    let space = Space::new(bed, "faults").await;
    let _controllers = controllers::play(&space);
    let faults = Faults::default();
    let struck: Vec<Key> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| Key {
            name: key.name.replacen("p00", &format!("p{index:02}"), 1),
            ..key.clone()
        })
        .collect();
    faults.on_requests({
        let struck = struck.clone();
        move |key| struck.contains(key).then_some(fault)
    });
    let operator = start(bed, &space, &faults).await;
    let began = Instant::now();
    let portals: Vec<_> = (0..keys.len())
        .map(|index| portal(&format!("p{index:02}")))
        .chain([portal("neighbour")])
        .collect();
    join_all(
        portals
            .into_iter()
            .map(|portal| space.apply_portal_value(portal)),
    )
    .await;
    let ready = all_ready(&space, keys.len() + 1).await;
    operator.settle().await;

    let slowest = ready.values().max().unwrap().duration_since(began);
    let neighbour = ready["neighbour"].duration_since(began);
    println!(
        "{fault:?} at each of {} requests: neighbour Ready after {neighbour:?}, the last after {slowest:?}",
        keys.len()
    );
    assert!(neighbour <= slowest);
    let seen = faults.seen();
    let writes = operator.writes();
    for key in &struck {
        let tries: Vec<_> = seen.iter().filter(|seen| seen.key.same(key)).collect();
        let what = format!("{fault:?} at {key} in {}", space.namespace);
        let hit = tries.first().unwrap_or_else(|| panic!("{what}: not asked"));
        let ends = hit.at
            + match fault {
                Fault::Hang(_) => Duration::from_secs(10),
                Fault::Status(_, wait) => Duration::from_secs(wait.into()),
                _ => Duration::ZERO,
            };
        // What was committed need not be asked again; and nothing waits for long.
        if let Some(next) = tries.get(1) {
            let waited = next.at.saturating_duration_since(ends);
            let story = || story(&seen, hit);
            assert!(
                waited <= RECOVERY + neighbour,
                "{what}: asked again after {waited:?}\n{}",
                story()
            );
        }
        // A child that failed once is written once more. There is news of a status as often as the machine is slow: only what
        // is sent again counts.
        let most = if key.kind.ends_with("/status") {
            most_repeated(&writes, &key.name)
        } else {
            tries.len()
        };
        assert!(most <= 3, "{what}: {most} tries");
    }
    assert_eq!(
        space.children().await.len(),
        children * (keys.len() + 1),
        "{fault:?}: children in {}",
        space.namespace
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_recovers_from_any_failure_of_any_request_and_its_neighbour_notices_nothing() {
    let bed = Bed::shared().await;
    let (keys, children) = reference(bed, "p00").await;
    assert!(keys.len() >= 16, "{keys:#?}");
    for fault in [
        Fault::Status(409, 0),
        Fault::Status(429, 3),
        Fault::Status(500, 0),
        Fault::Status(503, 0),
        Fault::Status(403, 0),
        Fault::Status(404, 0),
        Fault::Reset,
        Fault::LostAnswer,
        Fault::Hang(Duration::from_secs(30)),
        Fault::BadJson,
        Fault::HalfBody,
    ] {
        each_request_fails_with(bed, &keys, children, fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_repeated_and_broken_events_change_nothing_in_the_end() {
    let bed = Bed::shared().await;
    let names = ["Hide", "Twice", "Gone", "Cut"];
    let faults_of = [
        EventFault::Hide,
        EventFault::Twice,
        EventFault::Gone,
        EventFault::Cut,
    ];
    join_all(names.iter().zip(faults_of).map(|(name, fault)| async move {
        let space = Space::new(bed, "events").await;
        let _controllers = controllers::play(&space);
        let faults = Faults::default();
        // Every third event of every watch, those of the first list among them.
        faults.on_events(move |key, event| {
            let real = event["type"] != "BOOKMARK" && event["type"] != "ERROR";
            (real && key.occurrence % 3 == 1).then(|| fault.clone())
        });
        let operator = start(bed, &space, &faults).await;
        for portal_name in ["one", "two"] {
            space.apply_portal_value(portal(portal_name)).await;
        }
        all_ready(&space, 2).await;
        let patch = json!({"spec": {"minReplicas": 2}});
        space
            .merge("HorizontalPodAutoscaler", "one-app", patch)
            .await;
        space.delete("Service", "two-app").await;
        let patch = json!({"spec": {"exposure": {"timeouts": {"request": "45s"}}}});
        space.merge("PortalPlatform", "one", patch).await;
        space
            .wait_object(
                "HorizontalPodAutoscaler",
                "one-app",
                "is set back",
                |object| object["spec"]["minReplicas"] == 1,
            )
            .await;
        space
            .wait_object("Service", "two-app", "is made again", Value::is_object)
            .await;
        space
            .wait_object("HTTPRoute", "one", "is as edited", |route| {
                route["spec"]["rules"][0]["timeouts"]["request"] == "45s"
            })
            .await;
        faults.heal();
        all_ready(&space, 2).await;
        operator.settle().await;
        let writes = operator.child_writes().len();
        // Nine children each, their replicas twice, three edits, and what a list without them made it look at again.
        assert!(writes <= 40, "{name}: {writes} writes of children");
        println!("{name}: {writes} writes of children");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_of_a_child_that_is_shown_again_causes_no_write_to_its_successor() {
    let bed = Bed::shared().await;
    let space = Space::new(bed, "stale").await;
    let _controllers = controllers::play(&space);
    let faults = Faults::default();
    let operator = start(bed, &space, &faults).await;
    space.apply_portal_value(portal("portal")).await;
    all_ready(&space, 1).await;
    let old = space.get("Service", "portal-app").await;
    space.delete("Service", "portal-app").await;
    let new = space
        .wait_object("Service", "portal-app", "is made again", |service| {
            service["metadata"]["uid"].is_string()
                && service["metadata"]["uid"] != old["metadata"]["uid"]
        })
        .await;
    operator.settle().await;
    let writes = operator.writes().len();

    // Behind the next event of the Service its former self appears, changes, and goes.
    let uid = new["metadata"]["uid"].clone();
    faults.on_events(move |key, event| {
        let next = key.kind == "services" && event["object"]["metadata"]["uid"] == uid;
        let mut drifted = old.clone();
        drifted["spec"]["selector"] = json!({"changed": "by nobody"});
        drifted["metadata"]["managedFields"] = json!([]);
        next.then(|| {
            EventFault::Then(vec![
                json!({"type": "MODIFIED", "object": old}),
                json!({"type": "MODIFIED", "object": drifted}),
                json!({"type": "DELETED", "object": old}),
            ])
        })
    });
    let patch = json!({"metadata": {"annotations": {"example.com/touched": "yes"}}});
    space.merge("Service", "portal-app", patch).await;
    operator.settle().await;
    let after: Vec<_> = operator.writes()[writes..].to_vec();
    assert!(after.is_empty(), "{after:#?}");
    let now = space.get("Service", "portal-app").await;
    assert_eq!(now["metadata"]["uid"], new["metadata"]["uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_list_of_one_namespace_leaves_the_portals_of_the_others_alone() {
    let bed = Bed::shared().await;
    let [one, other] = [Space::new(bed, "list").await, Space::new(bed, "list").await];
    let _controllers = [&one, &other].map(controllers::play);
    let faults = Faults::default();
    let options = OperatorOptions {
        namespaces: vec![one.namespace.clone(), other.namespace.clone()],
        connect: Some(faults.wrap()),
        ..OperatorOptions::default()
    };
    let operator = Operator::start(bed, options).await;
    for space in [&one, &other] {
        space.apply_portal_value(portal("portal")).await;
        all_ready(space, 1).await;
    }
    operator.settle().await;
    let namespace = other.namespace.clone();
    let first = AtomicBool::new(true);
    faults.on_events(move |key, event| {
        let about =
            key.kind == "portalplatforms" && event["object"]["metadata"]["namespace"] == *namespace;
        (about && first.swap(false, Ordering::SeqCst)).then_some(EventFault::Gone)
    });
    let patch = json!({"spec": {"exposure": {"timeouts": {"request": "45s"}}}});
    other.merge("PortalPlatform", "portal", patch).await;
    other.wait_ready("portal").await;
    one.delete("Service", "portal-app").await;
    one.wait_object("Service", "portal-app", "is made again", Value::is_object)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verb_that_is_taken_away_is_told_and_heals_when_it_is_granted_again() {
    let bed = Bed::own("forbidden").await;
    let space = Space::new(&bed, "forbidden").await;
    let _controllers = controllers::play(&space);
    let role = get(&bed, "clusterrole", "portal-operator").await;
    let mut operator = Operator::start(&bed, OperatorOptions::default()).await;
    for (resource, verb, child) in [
        ("services", "create", "Service"),
        ("httproutes", "get", "HTTPRoute"),
        ("deployments", "patch", "Deployment"),
        ("deployments", "watch", "Deployment"),
    ] {
        set_rules(&bed, &without(&role["rules"], resource, verb)).await;
        if verb == "watch" {
            // A watch that runs is not asked again.
            operator.crash().await;
            operator.start_again();
        }
        let name = format!("{verb}-{resource}");
        space.apply_portal_value(portal(&name)).await;
        let told = space
            .wait_portal(&name, "is told to be forbidden", |portal| {
                let ready = support::condition(portal, "Ready");
                ready["status"] == "False" && ready["message"].to_string().contains("forbidden")
            })
            .await;
        let message = support::condition(&told, "Ready")["message"].to_string();
        assert!(message.contains(child), "{message}");
        set_rules(&bed, &role["rules"]).await;
        let granted = Instant::now();
        ready(&space, &name).await;
        let healed = granted.elapsed();
        println!("{verb} of {resource}: healed {healed:?} after it was granted again");
        assert!(healed < Duration::from_secs(20), "{healed:?}");
    }
    assert!(operator.runs());
}

async fn get(bed: &Bed, kind: &str, name: &str) -> Value {
    let text = bed.kubectl(&["get", kind, name, "--output=json"]).await;
    serde_json::from_str(&text).unwrap()
}

async fn set_rules(bed: &Bed, rules: &Value) {
    let patch = json!({"rules": rules}).to_string();
    let role = [
        "patch",
        "clusterrole",
        "portal-operator",
        "--type=merge",
        "-p",
        &patch,
    ];
    bed.kubectl(&role).await;
}

/// The rules without one verb of one resource.
fn without(rules: &Value, resource: &str, verb: &str) -> Value {
    let mut rules = rules.clone();
    let mut more = Vec::new();
    for rule in rules.as_array_mut().unwrap() {
        let resources = rule["resources"].as_array_mut().unwrap();
        let before = resources.len();
        resources.retain(|other| other != resource);
        if resources.len() < before {
            let mut rest = rule.clone();
            rest["resources"] = json!([resource]);
            rest["verbs"]
                .as_array_mut()
                .unwrap()
                .retain(|other| other != verb);
            more.push(rest);
        }
    }
    let all = rules.as_array_mut().unwrap();
    all.retain(|rule| rule["resources"] != json!([]));
    all.extend(more);
    rules
}

async fn ready(space: &Space, name: &str) {
    space
        .wait_portal(name, "is Ready", |portal| {
            let ready = support::condition(portal, "Ready");
            ready["status"] == "True"
                && ready["observedGeneration"] == portal["metadata"]["generation"]
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_cannot_be_decoded_or_is_huge_harms_no_neighbour() {
    let bed = Bed::own("poison").await;
    let space = Space::new(&bed, "poison").await;
    let _controllers = controllers::play(&space);
    space.apply_portal_value(portal("before")).await;
    // As a definition of another version than the operator's might admit it. The definition stays so: where it became stricter
    // than what it stored, the API server itself refuses to apply a status.
    let definition = "portalplatforms.portalplatform.dev";
    let loose = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let patch = |schema: &Value| {
        json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]).to_string()
    };
    bed.kubectl(&[
        "patch",
        "customresourcedefinition",
        definition,
        "--type=json",
        "-p",
        &patch(&loose),
    ])
    .await;
    let poison = json!({
        "metadata": {"name": "poison"},
        "spec": {"profile": 7, "components": "many", "size": {"of": "wrong type"}},
    });
    space
        .wait_for(
            support::space::PATIENCE,
            "the loose schema is served",
            || async { space.try_apply_portal(poison.clone()).await.ok() },
        )
        .await;
    let mut huge = portal("huge");
    huge["metadata"]["annotations"] = json!({"example.com/huge": "x".repeat(250 * 1024)});
    space.apply_portal_value(huge).await;

    let operator = Operator::start(&bed, OperatorOptions::default()).await;
    for name in ["before", "huge"] {
        ready(&space, name).await;
    }
    space.apply_portal_value(portal("after")).await;
    ready(&space, "after").await;
    let poisoned = space.wait_portal("poison", "is told about", |portal| {
        support::condition(portal, "Stalled")["status"] == "True"
    });
    let message = support::condition(&poisoned.await, "Ready")["message"].to_string();
    assert!(message.contains("cannot be read"), "{message}");
    operator.settle().await;
    let from = operator.requests().len();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let requests: Vec<_> = operator.requests()[from..].to_vec();
    assert!(
        requests.is_empty(),
        "the poison costs requests: {requests:#?}"
    );

    // Its repair heals it.
    space.apply_portal_value(portal("poison")).await;
    ready(&space, "poison").await;
}

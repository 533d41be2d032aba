//! What needs the whole cluster: its nodes, its definitions, and the Lease. On a control plane of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Bed, Operator, OperatorOptions, Space, condition, controllers, samples};

/// Portals need two APIs that the cluster does not have; both come, and one goes again.
async fn missing_definitions_are_told_and_heal_when_they_are_installed(bed: &Bed) {
    let space = Space::new(bed, "definitions").await;
    let _controllers = controllers::play(&space);
    let mut gate = samples::gateway();
    gate["metadata"]["name"] = json!("gate");
    space.apply_portal_value(gate).await;
    space.apply_portal_value(samples::ingress()).await;

    let message = space.wait_unready("gate", "IntegrationMissing").await;
    assert!(
        message.contains("HTTPRoute gate cannot be made: Gateway API is not installed"),
        "{message}"
    );
    assert!(
        message.contains("install its CRDs, or remove exposure.gatewayRef"),
        "{message}"
    );
    let message = space.wait_unready("portal", "IntegrationMissing").await;
    assert!(
        message.contains("Certificate portal cannot be made: cert-manager is not installed"),
        "{message}"
    );
    assert!(message.contains("exposure.tls.mode"), "{message}");
    for name in ["gate", "portal"] {
        let portal = space
            .wait_portal(name, "has its pods all the same", |portal| {
                condition(portal, "Available")["status"] == "True"
            })
            .await;
        assert_eq!(condition(&portal, "Stalled")["status"], "True");
    }
    let portal = space.portal("gate").await;
    assert_eq!(portal["status"]["integrations"]["gatewayAPI"], "Absent");

    let folder = support::bed::checkout().join("tests/cluster/crds");
    let folder = folder.to_str().unwrap();
    for (add_on, name) in [("gateway-api", "gate"), ("cert-manager", "portal")] {
        let begin = Instant::now();
        bed.kubectl(&[
            "apply",
            "--server-side",
            "--recursive",
            "-f",
            &format!("{folder}/{add_on}"),
        ])
        .await;
        let portal = space.wait_ready(name).await;
        println!("{add_on}: healed after {:?}", begin.elapsed());
        assert!(condition(&portal, "Stalled").is_null());
    }
    let portal = space.portal("portal").await;
    assert_eq!(portal["status"]["integrations"]["certManager"], "Present");

    bed.kubectl(&[
        "delete",
        "customresourcedefinition",
        "httproutes.gateway.networking.k8s.io",
    ])
    .await;
    space.wait_unready("gate", "IntegrationMissing").await;
    space.wait_ready("portal").await;
    bed.kubectl(&[
        "apply",
        "--server-side",
        "--recursive",
        "-f",
        &format!("{folder}/gateway-api"),
    ])
    .await;
    space.wait_ready("gate").await;
}

/// Seven pods that each want a node of their own, on six nodes.
async fn too_few_nodes_are_told_with_the_numbers(bed: &Bed) {
    let space = Space::new(bed, "nodes").await;
    let portal = |minimum: i32| {
        json!({
            "metadata": {"name": "portal"},
            "spec": {
                "profile": "Production",
                "components": [{
                    "name": "app",
                    "image": "registry.local/app:1",
                    "scaling": {"minReplicas": minimum, "maxReplicas": minimum + 1},
                    "placement": {"spread": {"zones": "Preferred", "nodes": "Required"}},
                }],
            },
        })
    };
    space.apply_portal_value(portal(7)).await;
    let message = space
        .wait_for(support::space::PATIENCE, "tells of the nodes", || async {
            let portal = space.portal("portal").await;
            let message = condition(&portal, "Ready")["message"].as_str()?.to_owned();
            message.contains("7 nodes").then_some(message)
        })
        .await;
    assert!(
        message.contains("Deployment portal-app needs 7 nodes"),
        "{message}"
    );
    assert!(message.contains("6 can take its pods"), "{message}");
    assert!(
        message.contains("placement.spread.nodes: Preferred"),
        "{message}"
    );
    space.apply_portal_value(portal(3)).await;
    let portal = space.wait_ready("portal").await;
    let zones = portal["status"]["components"][0]["zones"]
        .as_object()
        .unwrap();
    assert!(!zones.is_empty(), "{portal:#}");
}

/// Two operators at once: one holds the Lease and works, and the other takes over.
async fn a_standby_takes_over(bed: &Bed, first: &mut Operator) {
    let space = Space::new(bed, "standby").await;
    let mut second = Operator::start(bed, with_lease()).await;
    space.apply_portal_value(samples::small()).await;
    space.wait_ready("portal").await;
    assert!(second.writes().is_empty(), "{:#?}", second.writes());

    let begin = Instant::now();
    first.stop().await;
    space.delete("Service", "portal-app").await;
    space
        .wait_object("Service", "portal-app", "is back", |found| !found.is_null())
        .await;
    println!("taken over after a stop: {:?}", begin.elapsed());
    assert!(!second.child_writes().is_empty());

    first.start_again();
    let begin = Instant::now();
    second.crash().await;
    space.delete("Service", "portal-app").await;
    space
        .wait_for(
            Duration::from_secs(40),
            "the first takes over again",
            || async {
                let found = space.get("Service", "portal-app").await;
                (!found.is_null()).then_some(())
            },
        )
        .await;
    println!("taken over after a crash: {:?}", begin.elapsed());
    assert!(first.runs());
}

fn with_lease() -> OperatorOptions {
    OperatorOptions {
        lease_name: Some("portal-operator".into()),
        ..OperatorOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operator_for_the_whole_cluster() {
    let bed = Bed::own_with("wide", &["--without-metrics", "--crds", "none"]).await;
    let mut operator = Operator::start(&bed, with_lease()).await;
    tokio::join!(
        missing_definitions_are_told_and_heal_when_they_are_installed(&bed),
        too_few_nodes_are_told_with_the_numbers(&bed),
    );
    a_standby_takes_over(&bed, &mut operator).await;
    operator.stop().await;
}

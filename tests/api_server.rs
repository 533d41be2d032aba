#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The API server may be away, with every watch broken: the operator is back as soon as it is.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Bed, Operator, OperatorOptions, Space, samples};

/// Longest time from a ready API server to the effect of the next edit: two seconds, and one for machines that do much else.
const BAR: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn the_first_edit_after_an_outage_of_the_api_server_is_reconciled_within_two_seconds() {
    let bed = Bed::own("api-server").await;
    let space = Space::new(&bed, "away").await;
    let operator = Operator::start(&bed, OperatorOptions::default()).await;
    let mut portal = samples::ingress();
    portal["spec"]["exposure"] = json!({"mode": "Ingress", "tls": {"mode": "None"}});
    space.apply_portal_value(portal).await;
    space.wait_ready("portal").await;
    operator.settle().await;

    for away in [Duration::from_secs(2), Duration::from_secs(10)] {
        let writes = operator.writes().len();
        bed.kill("kube-apiserver").await;
        tokio::time::sleep(away).await;
        // Returns as soon as `/readyz` says so.
        bed.start("kube-apiserver").await;
        let ready = Instant::now();
        let word = format!("after-{}s", away.as_secs());
        let annotation = format!("example.com/{word}");
        let patch = json!({"spec": {"exposure": {"annotations": {&annotation: "yes"}}}});
        space
            .wait_for(Duration::from_secs(20), "the edit is taken", || async {
                space
                    .api("PortalPlatform")
                    .patch(
                        "portal",
                        &kube::api::PatchParams::default(),
                        &kube::api::Patch::Merge(&patch),
                    )
                    .await
                    .ok()
            })
            .await;
        let edited = Instant::now();
        space
            .wait_object("Ingress", "portal", "has the annotation", |ingress| {
                ingress["metadata"]["annotations"][&annotation] == "yes"
            })
            .await;
        println!(
            "API server away for {away:?}: edit taken {:?} after it was ready, reconciled {:?} after it was ready",
            edited - ready,
            ready.elapsed()
        );
        assert!(ready.elapsed() <= BAR, "took {:?}", ready.elapsed());

        // The watches of every other kind live as well: what is lost is made again.
        space.wait_ready("portal").await;
        for kind in [
            "Service",
            "PodDisruptionBudget",
            "NetworkPolicy",
            "ConfigMap",
            "HorizontalPodAutoscaler",
        ] {
            let before = space.get(kind, "portal-app").await["metadata"]["uid"].clone();
            space.delete(kind, "portal-app").await;
            let lost = Instant::now();
            space
                .wait_object(kind, "portal-app", "is made again", |object| {
                    object["metadata"]["uid"].is_string() && object["metadata"]["uid"] != before
                })
                .await;
            assert!(lost.elapsed() <= BAR, "{kind} took {:?}", lost.elapsed());
        }
        operator.settle().await;
        let repairs: Vec<_> = operator.child_writes();
        let repairs = repairs
            .iter()
            .filter(|record| record.status.is_some())
            .count();
        println!(
            "{} writes since the outage began, {repairs} of children in all",
            operator.writes().len() - writes
        );
        assert!(operator.runs());
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Two operators and one lease: when the leader goes, the other works, and never do both write.

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use support::{Bed, Space, process::Process, samples, space::PATIENCE};

struct Pair {
    bed: Bed,
    space: Space,
}

impl Pair {
    async fn new(name: &str) -> Self {
        let bed = Bed::own(name).await;
        let space = Space::new(&bed, "leader").await;
        Self { bed, space }
    }

    async fn start(&self, identity: &str) -> Process {
        Process::start(&self.bed, identity, &[]).await
    }

    async fn leading(&self, process: &Process) {
        self.space
            .wait_for(PATIENCE, "it leads", || async {
                process.log().contains("leading").then_some(())
            })
            .await;
    }

    /// The other has read what there is and waits for the lease.
    async fn standing_by(&self, process: &Process) {
        self.space
            .wait_for(PATIENCE, "it stands by", || async {
                process.log().contains("started").then_some(())
            })
            .await;
        let began = Instant::now();
        self.space
            .wait_for(PATIENCE, "its watches run", || async {
                (began.elapsed() > Duration::from_secs(1)).then_some(())
            })
            .await;
    }

    /// Edits the portal and returns how long it takes until the edit has its effect.
    async fn edit(&self, word: &str) -> Duration {
        let began = Instant::now();
        let patch = json!({"spec": {"exposure": {"annotations": {"example.com/word": word}}}});
        self.space.merge("PortalPlatform", "portal", patch).await;
        self.space
            .wait_object("Ingress", "portal", word, |ingress| {
                ingress["metadata"]["annotations"]["example.com/word"] == word
            })
            .await;
        began.elapsed()
    }

    /// Waits until ten edits of somebody else were carried out.
    async fn some_edits_have_effects(&self) {
        let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
        self.space
            .wait_for(PATIENCE, "the edits have effects", || async {
                let ingress = self.space.get("Ingress", "portal").await;
                let word = &ingress["metadata"]["annotations"]["example.com/word"];
                let mut seen = seen.lock().unwrap();
                seen.insert(word.to_string());
                (seen.len() > 10).then_some(())
            })
            .await;
    }

    async fn portal(&self) {
        let mut portal = samples::ingress();
        portal["spec"]["exposure"] = json!({"mode": "Ingress", "tls": {"mode": "None"}});
        self.space.apply_portal_value(portal).await;
        self.space.wait_ready("portal").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_works_within_a_second_of_a_graceful_end_and_seven_of_a_crash() {
    let pair = Pair::new("failover").await;
    let first = pair.start("first").await;
    pair.leading(&first).await;
    pair.portal().await;
    let second = pair.start("second").await;
    pair.standing_by(&second).await;

    let began = Instant::now();
    let stopped = tokio::spawn(first.stop());
    pair.edit("graceful").await;
    let graceful = began.elapsed();
    stopped.await.unwrap();
    println!("hand-over at SIGTERM: {graceful:?}");
    // The bar is one second; other tests run on the machine.
    assert!(graceful <= Duration::from_millis(1500), "{graceful:?}");

    let third = pair.start("third").await;
    pair.standing_by(&third).await;
    let began = Instant::now();
    second.signal("KILL");
    pair.edit("crash").await;
    let crash = began.elapsed();
    println!("hand-over at SIGKILL: {crash:?}");
    assert!(crash <= Duration::from_secs(7), "{crash:?}");
    drop(second);
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_stopped_writes_nothing_after_its_lease_has_lapsed() {
    let pair = Arc::new(Pair::new("stopped").await);
    let mut first = pair.start("first").await;
    pair.leading(&first).await;
    pair.portal().await;
    let second = pair.start("second").await;
    pair.standing_by(&second).await;

    // Somebody edits all the time, so that whoever may write does.
    let on = Arc::new(AtomicBool::new(true));
    let editor = tokio::spawn({
        let (pair, on) = (pair.clone(), on.clone());
        async move {
            let mut count = 0;
            while on.load(Ordering::SeqCst) {
                let word = format!("edit-{count}");
                let patch =
                    json!({"spec": {"exposure": {"annotations": {"example.com/word": word}}}});
                pair.space.merge("PortalPlatform", "portal", patch).await;
                count += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            count
        }
    });
    pair.some_edits_have_effects().await;
    first.signal("STOP");
    // That it leads shows that the lease has lapsed.
    pair.leading(&second).await;
    pair.some_edits_have_effects().await;
    first.signal("CONT");
    let woken = Timestamp::now();
    pair.space
        .wait_for(PATIENCE, "the first knows that its lease lapsed", || {
            let knows = !first.runs() || first.log().contains("lease lapsed");
            async move { knows.then_some(()) }
        })
        .await;
    // It would still have time to write.
    pair.some_edits_have_effects().await;
    on.store(false, Ordering::SeqCst);
    let edits = editor.await.unwrap();
    let writes = writes(&pair.bed);
    let late = |write: &&Write| write.at > woken;
    // All that was written before the first was stopped is by it.
    let by_first: Vec<_> = writes
        .iter()
        .filter(late)
        .filter(|w| w.token == writes[0].token)
        .collect();
    let by_second = writes.iter().filter(late).count() - by_first.len();
    println!(
        "{edits} edits, {} writes, of which after the wake-up: {} by the old leader, {by_second} by the new",
        writes.len(),
        by_first.len()
    );
    assert!(by_first.is_empty(), "{by_first:#?}");
    assert!(
        by_second > 0,
        "the new leader wrote nothing, so nothing is shown"
    );
    drop(first);
    second.stop().await;
}

/// A write of a portal's object, from the audit log.
#[derive(Debug)]
struct Write {
    at: Timestamp,
    /// Who sent it: each process has a token of its own.
    token: String,
    #[allow(dead_code, reason = "shown on failure")]
    line: String,
}

fn writes(bed: &Bed) -> Vec<Write> {
    let log = fs::read_to_string(bed.dir().join("audit.log")).unwrap();
    log.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| {
            let verb = event["verb"].as_str().unwrap_or_default();
            let resource = event["objectRef"]["resource"].as_str().unwrap_or_default();
            ["patch", "create", "update", "delete"].contains(&verb)
                && !["leases", "events"].contains(&resource)
        })
        .map(|event| Write {
            at: event["requestReceivedTimestamp"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
            token: event["user"]["extra"]["authentication.kubernetes.io/credential-id"].to_string(),
            line: event.to_string(),
        })
        .collect()
}

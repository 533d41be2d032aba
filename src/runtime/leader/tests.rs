use futures::FutureExt;
use http::Method;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{advance, timeout},
};

use super::{fake::Server, *};
use crate::runtime::term::{self, Term};

/// One process that takes part in the election.
struct Process {
    term: Term,
    task: JoinHandle<(Result<(), LeaderError>, Leading)>,
    stop: Option<oneshot::Sender<()>>,
}

impl Process {
    fn start(server: &Server, identity: &str) -> Self {
        let (leading, term) = term::channel();
        Self::resume(server, identity, leading, term)
    }

    fn resume(server: &Server, identity: &str, mut leading: Leading, term: Term) -> Self {
        let settings = LeaderSettings::new("ops", "portal-operator", identity);
        let (stop, stopped) = oneshot::channel::<()>();
        let client = server.client();
        let task = tokio::spawn(async move {
            let shutdown = async move {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let outcome = run(client, settings, &mut leading, shutdown).await;
            (outcome, leading)
        });
        Self {
            term,
            task,
            stop: Some(stop),
        }
    }

    /// Asks it to shut down.
    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Ends it without a word, as SIGKILL does.
    fn kill(&self) {
        self.task.abort();
    }
}

/// How long `event` takes; the test fails after a minute.
async fn time_of(event: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    timeout(Duration::from_mins(1), event).await.unwrap();
    started.elapsed()
}

/// Time passes and no task of ours runs, as between SIGSTOP and SIGCONT.
fn pass_while_stopped(time: Duration) {
    assert!(
        advance(time).now_or_never().is_none(),
        "it yields once the clock is set"
    );
}

/// What is left of a term that nobody renews.
fn time_left(term: &Term) -> Duration {
    term.ends()
        .map_or(Duration::ZERO, |end| end - Instant::now())
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn one_of_two_candidates_wins_and_the_other_waits() {
    let server = Server::default();
    let (a, b) = (Process::start(&server, "a"), Process::start(&server, "b"));
    assert!(
        time_of(async {
            tokio::select! { () = a.term.elected() => {}, () = b.term.elected() => {} }
        })
        .await
            < SECOND
    );
    for _ in 0..300 {
        sleep(Duration::from_millis(100)).await;
        assert!(a.term.is_leading() ^ b.term.is_leading());
    }
    assert_eq!(server.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_leader_at_rest_sends_one_write_every_two_seconds_and_a_candidate_nothing() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    let _b = Process::start(&server, "b");
    sleep(SECOND).await;
    server.with(|state| state.requests.clear());
    sleep(60 * SECOND).await;
    let requests = server.with(|state| state.requests.clone());
    assert_eq!(requests, vec![Method::PUT; 30]);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_leader_is_replaced_within_seven_seconds_but_not_before_its_lease() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    let b = Process::start(&server, "b");
    sleep(4 * SECOND + SECOND / 2).await;
    let renewed = Instant::now() - SECOND / 2;
    a.kill();
    time_of(b.term.elected()).await;
    let silent = renewed.elapsed();
    assert!(silent >= 5 * SECOND && silent <= 7 * SECOND, "{silent:?}");
    assert!(!a.term.is_leading());
    assert_eq!(
        (server.holder().as_str(), server.spec().lease_transitions),
        ("b", Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_shuts_down_is_replaced_within_one_second() {
    let server = Server::default();
    let mut a = Process::start(&server, "a");
    a.term.elected().await;
    let b = Process::start(&server, "b");
    sleep(3 * SECOND).await;
    a.stop();
    let handover = time_of(b.term.elected()).await;
    assert!(handover < SECOND, "{handover:?}");
    assert!(!a.term.is_leading());
    assert_eq!(a.task.await.unwrap().0, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_term_ends_before_the_lease_is_released() {
    let server = Server::default();
    let mut a = Process::start(&server, "a");
    a.term.elected().await;
    server.with(|state| state.latency = SECOND);
    a.stop();
    a.term.lost().await;
    assert_eq!(server.holder(), "a");
    assert_eq!(a.task.await.unwrap().0, Ok(()));
    let spec = server.spec();
    assert_eq!(
        (spec.holder_identity.as_deref(), spec.lease_duration_seconds),
        (Some(""), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_during_a_renewal_reads_the_version_that_the_renewal_left() {
    let server = Server::default();
    let mut a = Process::start(&server, "a");
    a.term.elected().await;
    server.with(|state| state.unanswered = 1);
    sleep(2 * SECOND + SECOND / 4).await;
    a.stop();
    assert_eq!(a.task.await.unwrap().0, Ok(()));
    assert_eq!(server.holder(), "");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_on_our_own_record_is_read_again_and_renewed() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    server.meddle(|lease| {
        lease
            .metadata
            .annotations
            .get_or_insert_default()
            .insert("note".to_owned(), "hello".to_owned());
    });
    for _ in 0..20 {
        sleep(SECOND).await;
        assert!(a.term.is_leading());
    }
    let noted = server.with(|state| state.lease.clone().unwrap().metadata.annotations);
    assert!(noted.is_some(), "a renewal keeps what others wrote");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_costs_no_term() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    server.with(|state| state.unanswered = 1);
    for _ in 0..20 {
        sleep(SECOND).await;
        assert!(a.term.is_leading());
    }
    assert_eq!(server.with(|state| state.unanswered), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_known_as_ours_at_the_next_reading() {
    let server = Server::default();
    server.with(|state| state.unanswered = 1);
    let a = Process::start(&server, "a");
    let elected = time_of(a.term.elected()).await;
    assert!(elected < 2 * SECOND, "{elected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_usurped_leader_ends() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    server
        .meddle(|lease| lease.spec.get_or_insert_default().holder_identity = Some("b".to_owned()));
    assert!(time_of(a.term.lost()).await < 3 * SECOND);
    let lost = LeaderError::Usurped {
        lease: "ops/portal-operator".to_owned(),
        holder: "b".to_owned(),
    };
    assert_eq!(a.task.await.unwrap().0, Err(lost));
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_is_deleted_ends_and_a_candidate_waits_for_that() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    let b = Process::start(&server, "b");
    sleep(SECOND).await;
    server.with(super::fake::State::delete);
    b.term.elected().await;
    assert!(!a.term.is_leading());
    assert!(matches!(
        a.task.await.unwrap().0,
        Err(LeaderError::Usurped { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_for_longer_than_the_lease_ends_the_term_by_the_local_clock() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    server.with(|state| state.broken = true);
    let lost = time_of(a.term.lost()).await;
    assert!(lost > 4 * SECOND && lost <= 5 * SECOND, "{lost:?}");
    let lapsed = LeaderError::Lapsed {
        lease: "ops/portal-operator".to_owned(),
    };
    assert_eq!(a.task.await.unwrap().0, Err(lapsed));
}

#[tokio::test(start_paused = true)]
async fn after_a_lapse_a_record_that_is_still_ours_is_taken_back_at_once() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    server.with(|state| state.broken = true);
    let (outcome, leading) = a.task.await.unwrap();
    assert!(matches!(outcome, Err(LeaderError::Lapsed { .. })));
    server.with(|state| state.broken = false);
    let again = Process::resume(&server, "a", leading, a.term);
    assert!(time_of(again.term.elected()).await < SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_of_the_server_costs_no_term() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    sleep(3 * SECOND / 2).await;
    server.with(|state| state.broken = true);
    sleep(2 * SECOND).await;
    server.with(|state| state.broken = false);
    for _ in 0..20 {
        sleep(SECOND).await;
        assert!(a.term.is_leading());
    }
}

#[tokio::test(start_paused = true)]
async fn the_term_counts_from_the_moment_a_claim_or_renewal_was_sent() {
    let server = Server::default();
    server.with(|state| state.latency = SECOND);
    let a = Process::start(&server, "a");
    a.term.elected().await;
    // Claimed at 0 s and answered at 1 s, renewed at 2 s and answered at 3 s.
    for _ in 0..2 {
        assert!(time_left(&a.term) <= 4 * SECOND);
        sleep(2 * SECOND + SECOND / 100).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_does_not_lead_when_it_goes_on() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    pass_while_stopped(5 * SECOND);
    assert!(!a.term.is_leading());
}

#[tokio::test(start_paused = true)]
async fn a_namesake_waits_like_anybody_else() {
    let server = Server::default();
    let a = Process::start(&server, "same");
    a.term.elected().await;
    let b = Process::start(&server, "same");
    for _ in 0..30 {
        sleep(SECOND).await;
        assert!(a.term.is_leading() && !b.term.is_leading());
    }
}

#[tokio::test(start_paused = true)]
async fn a_remote_clock_that_is_wrong_changes_nothing() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    a.kill();
    server.meddle(|lease| {
        lease.spec.get_or_insert_default().renew_time =
            "1999-01-01T00:00:00Z".parse().ok().map(MicroTime);
    });
    let b = Process::start(&server, "b");
    let waited = time_of(b.term.elected()).await;
    assert!(waited >= 5 * SECOND && waited < 6 * SECOND, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_candidate_whose_watch_is_dead_takes_nothing_from_a_living_leader() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    let b = Process::start(&server, "b");
    sleep(SECOND).await;
    // The connection stays open and silent: the candidate finds out by a refused claim.
    let silent = server.with(|state| std::mem::take(&mut state.watchers));
    for _ in 0..20 {
        sleep(SECOND).await;
        assert!(a.term.is_leading() && !b.term.is_leading());
    }
    assert_eq!(
        server.with(|state| state.watchers.len()),
        1,
        "it watches anew"
    );
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_namesake_took_over_ends() {
    let server = Server::default();
    let a = Process::start(&server, "same");
    a.term.elected().await;
    server.meddle(|lease| lease.spec.get_or_insert_default().acquire_time = Some(micro_now()));
    time_of(a.term.lost()).await;
    assert!(matches!(
        a.task.await.unwrap().0,
        Err(LeaderError::Usurped { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn an_annotation_is_no_sign_of_life() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    let b = Process::start(&server, "b");
    sleep(SECOND).await;
    a.kill();
    for count in 0..6 {
        assert_eq!(server.holder(), "a");
        server.meddle(|lease| {
            let annotations = lease.metadata.annotations.get_or_insert_default();
            annotations.insert("count".to_owned(), count.to_string());
        });
        if timeout(SECOND, b.term.elected()).await.is_ok() {
            return;
        }
    }
    panic!("the candidate waits for ever");
}

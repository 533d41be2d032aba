use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use futures::{FutureExt, StreamExt, channel::mpsc, future::BoxFuture};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use kube::client::Body;
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{advance, timeout},
};

use super::*;
use crate::runtime::term::{self, Term};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;
type Line = Result<Frame<Bytes>, Infallible>;

/// An API server with one Lease, its resourceVersion, and the faults that a test asks for.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    watchers: Vec<mpsc::UnboundedSender<Line>>,
    requests: Vec<Method>,
    /// Every write answers 500.
    broken: bool,
    /// This many writes are committed and never answered.
    unanswered: usize,
    /// Each write takes this long, before it is committed.
    latency: Duration,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            tower::service_fn(move |request| server.clone().answer(request)),
            "ops",
        )
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn spec(&self) -> LeaseSpec {
        self.with(|state| {
            state
                .lease
                .clone()
                .and_then(|lease| lease.spec)
                .unwrap_or_default()
        })
    }

    fn holder(&self) -> String {
        self.spec().holder_identity.unwrap_or_default()
    }

    /// Somebody changes the Lease behind our back.
    fn meddle(&self, change: impl FnOnce(&mut Lease)) {
        self.with(|state| {
            let mut lease = state.lease.clone().unwrap();
            change(&mut lease);
            state.commit(lease);
        });
    }

    fn answer(self, request: Request<Body>) -> BoxFuture<'static, Result<Answer, Infallible>> {
        async move {
            let (parts, body) = request.into_parts();
            let watching = parts.uri.query().unwrap_or_default().contains("watch=true");
            self.with(|state| {
                if !watching {
                    state.requests.push(parts.method.clone())
                }
            });
            if parts.method == Method::GET {
                return Ok(self.with(|state| if watching { state.watch() } else { state.get() }));
            }
            let sent: Lease = serde_json::from_slice(&body.collect_bytes().await.unwrap()).unwrap();
            tokio::time::sleep(self.with(|state| state.latency)).await;
            let (answer, silent) = self.with(|state| {
                let answer = state.put(sent);
                let silent = state.unanswered > 0;
                state.unanswered = state.unanswered.saturating_sub(1);
                (answer, silent)
            });
            if silent {
                std::future::pending::<()>().await;
            }
            Ok(answer)
        }
        .boxed()
    }
}

impl State {
    fn get(&self) -> Answer {
        match &self.lease {
            Some(lease) => object(200, &json!(lease)),
            None => failure(404, "NotFound"),
        }
    }

    fn watch(&mut self) -> Answer {
        let (watcher, lines) = mpsc::unbounded();
        self.watchers.push(watcher);
        Response::new(StreamBody::new(lines).boxed_unsync())
    }

    fn put(&mut self, sent: Lease) -> Answer {
        if self.broken {
            return failure(500, "InternalError");
        }
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if version(&sent) != self.lease.as_ref().and_then(version) {
            return failure(409, "Conflict");
        }
        self.commit(sent);
        self.get()
    }

    fn commit(&mut self, mut lease: Lease) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        let line = Bytes::from(format!(
            "{}\n",
            json!({"type": "MODIFIED", "object": &lease})
        ));
        self.watchers.retain(|watcher| {
            watcher
                .unbounded_send(Ok(Frame::data(line.clone())))
                .is_ok()
        });
        self.lease = Some(lease);
    }
}

fn object(status: u16, object: &serde_json::Value) -> Answer {
    let body = http_body_util::Full::from(object.to_string()).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}

fn failure(code: u16, reason: &str) -> Answer {
    object(
        code,
        &json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}),
    )
}

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
                    std::future::pending().await
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
    server.with(|state| {
        let line = format!(
            "{}\n",
            json!({"type": "DELETED", "object": state.lease.take()})
        );
        for watcher in &state.watchers {
            watcher
                .unbounded_send(Ok(Frame::data(Bytes::from(line.clone()))))
                .unwrap();
        }
    });
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
async fn the_term_counts_from_the_moment_a_renewal_was_sent() {
    let server = Server::default();
    server.with(|state| state.latency = SECOND);
    let started = Instant::now();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    assert_eq!(started.elapsed().as_secs(), 1);
    server.with(|state| state.broken = true);
    a.term.lost().await;
    let led_until = started.elapsed();
    assert!(led_until < 5 * SECOND, "{led_until:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_does_not_lead_when_it_goes_on() {
    let server = Server::default();
    let a = Process::start(&server, "a");
    a.term.elected().await;
    // Time passes and no task runs.
    advance(5 * SECOND).await;
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
            "1999-01-01T00:00:00Z".parse().ok().map(MicroTime)
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

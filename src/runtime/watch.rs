//! One task a watch, each with a backoff of its own, so that a kind that cannot be watched never slows the others.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::watcher::{self, Event, InitialListStrategy, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, time::Instant};

use super::{backoff::Backoff, metrics::Metrics};

/// Length of a watch request. Below the idle limits of load balancers, and short enough that a connection that swallows
/// everything is noticed within 65 s.
const WATCH_SECONDS: u32 = 60;
/// Longest pause after a failure of the connection: a refused connection costs next to nothing, and the next edit must not wait
/// for the server's return.
const RECONNECT: Duration = Duration::from_millis(500);
/// An API server that has just started refuses everybody until it has read the roles. For so long after a failure of the
/// connection a refusal is no news about our permissions.
const STARTING: Duration = Duration::from_secs(10);
/// A watch that has heard nothing for so long makes `/healthz` red.
pub const SILENCE: Duration = Duration::from_secs(90);

/// When each watch last heard from the server. Fed by the client's request layer, since a watch that is resumed without news
/// says nothing by itself.
#[derive(Clone, Debug, Default)]
pub struct Beats {
    inner: Arc<BeatsInner>,
}

#[derive(Debug, Default)]
struct BeatsInner {
    /// By path of the resource.
    watches: Mutex<HashMap<String, (&'static str, Instant)>>,
    heard: Notify,
}

impl Beats {
    fn watches(&self) -> std::sync::MutexGuard<'_, HashMap<String, (&'static str, Instant)>> {
        self.inner
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, path: &str, kind: &'static str) {
        self.watches()
            .insert(path.to_owned(), (kind, Instant::now()));
    }

    fn forget(&self, path: &str) {
        self.watches().remove(path);
    }

    /// The server answered a list or watch of this path. Returns the kind, if it is one of ours.
    #[must_use]
    pub fn heard(&self, path: &str) -> Option<&'static str> {
        let kind = {
            let mut watches = self.watches();
            let (kind, at) = watches.get_mut(path)?;
            *at = Instant::now();
            *kind
        };
        self.inner.heard.notify_waiters();
        Some(kind)
    }

    /// Waits until the server has answered after a point in time.
    async fn heard_since(&self, path: &str, since: Instant) {
        loop {
            let heard = self.inner.heard.notified();
            if self.watches().get(path).is_some_and(|(_, at)| *at > since) {
                return;
            }
            heard.await;
        }
    }

    /// Watches that have heard nothing for too long.
    #[must_use]
    pub fn silent(&self) -> Vec<&'static str> {
        self.watches()
            .values()
            .filter(|(_, at)| at.elapsed() >= SILENCE)
            .map(|(kind, _)| *kind)
            .collect()
    }
}

/// Who takes what a watch brings.
pub trait Sink<K>: Send + Sync {
    /// Takes an event.
    fn event(&self, event: Event<K>);
    /// The watch failed.
    fn failed(&self, cause: &Cause) {
        let _ = cause;
    }
    /// The watch goes on after a failure.
    fn resumed(&self) {}
}

/// Why a watch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The API server does not know the resource.
    Absent,
    /// We may not read it.
    Forbidden(String),
    /// Anything that passes by itself.
    Passing(String),
}

impl Cause {
    fn of(error: &watcher::Error) -> Self {
        let status = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => status,
            other => return Self::Passing(other.to_string()),
        };
        match status.code {
            404 => Self::Absent,
            401 | 403 => Self::Forbidden(status.message.clone()),
            _ => Self::Passing(status.message.clone()),
        }
    }
}

/// A watch: what, how much of it, and who takes it.
pub struct Watch<K: Resource> {
    /// The resource.
    pub api: Api<K>,
    /// Name of the kind, for metrics.
    pub kind: &'static str,
    /// Label selector.
    pub labels: Option<&'static str>,
    /// Where successes are noted.
    pub beats: Beats,
    /// Figures.
    pub metrics: Metrics,
}

/// Watches until the task is dropped.
pub async fn run<K>(watch: Watch<K>, sink: impl Sink<K>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Clone,
{
    let path = watch.api.resource_url().to_owned();
    watch.beats.register(&path, watch.kind);
    let _registered = Registered {
        path: path.clone(),
        beats: watch.beats.clone(),
        kind: watch.kind,
        metrics: watch.metrics.clone(),
    };
    let config = watcher::Config {
        label_selector: watch.labels.map(str::to_owned),
        timeout: Some(WATCH_SECONDS),
        // One request instead of list and watch, and no page of objects in memory; every supported server has it.
        initial_list_strategy: InitialListStrategy::StreamingList,
        ..watcher::Config::default()
    };
    let mut events = watcher(watch.api, config).boxed();
    let mut backoff = Backoff::watch();
    let mut failed_at: Option<Instant> = None;
    let mut away_at: Option<Instant> = None;
    loop {
        let item = match failed_at {
            None => events.next().await,
            Some(since) => tokio::select! {
                item = events.next() => item,
                () = watch.beats.heard_since(&path, since) => {
                    failed_at = None;
                    backoff.reset();
                    sink.resumed();
                    continue;
                }
            },
        };
        match item {
            None => return,
            Some(Ok(event)) => {
                // `Init` only says that a list is about to be asked for.
                if !matches!(event, Event::Init) && failed_at.take().is_some() {
                    backoff.reset();
                    sink.resumed();
                }
                sink.event(event);
            }
            Some(Err(error)) => {
                let cause = match Cause::of(&error) {
                    Cause::Forbidden(message)
                        if away_at.is_some_and(|at| at.elapsed() < STARTING) =>
                    {
                        Cause::Passing(message)
                    }
                    Cause::Passing(message) => {
                        away_at = Some(Instant::now());
                        Cause::Passing(message)
                    }
                    cause => {
                        // What was learned of a connection says nothing about a permission.
                        if away_at.take().is_some() {
                            backoff.reset();
                        }
                        cause
                    }
                };
                if failed_at.is_none() {
                    tracing::warn!(kind = watch.kind, ?cause, "watch failed");
                }
                sink.failed(&cause);
                failed_at = Some(Instant::now());
                let pause = backoff.next();
                let pause = match cause {
                    Cause::Passing(_) => pause.min(RECONNECT),
                    Cause::Absent | Cause::Forbidden(_) => pause,
                };
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Takes a watch out of the figures when its task ends.
struct Registered {
    path: String,
    beats: Beats,
    kind: &'static str,
    metrics: Metrics,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.beats.forget(&self.path);
        self.metrics.forget_watch(self.kind);
    }
}

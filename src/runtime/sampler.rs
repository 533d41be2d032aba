//! Asks the primary of each database with backups how far its log is archived: one small request to the pod in each twelfth of the
//! recovery point objective, and none to the API server.
//!
//! Every replica of the operator samples, so that one that takes over the lease knows what the former knew.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinHandle};

use super::{
    backoff::random_fraction,
    index::Index,
    pod_status::PodStatus,
    queue::{PortalKey, Queue},
    samples::Samples,
};
use crate::{
    api::{PortalPlatform, status::ArchivedLog},
    assess::backup::under_way,
    observe::{Archiving, World},
    plan::recovery_objective::{self, Sampled},
    recovery_point::Reading,
};

/// Samples within one recovery point objective.
const SAMPLES: u32 = 12;
/// How much closer samples follow when segments wait, or half of the objective is exposed.
const CLOSER: u32 = 4;
/// Shortest pause between two samples of one portal.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longest pause before the first sample, so that an operator that starts does not ask a thousand primaries at once.
const FIRST: Duration = Duration::from_secs(60);
/// Pause while there is no primary to ask.
const NOBODY: Duration = Duration::from_secs(10);
/// For so long after a failover samples follow as fast as they may: what the new primary archives first tells whether the archive has
/// a gap.
const AFTER_FAILOVER: SignedDuration = SignedDuration::from_mins(2);
/// Requests at the same time.
pub const CONCURRENCY: usize = 16;
/// The part of a pause that jitter may take away, so that portals do not ask all at once.
const JITTER: f64 = 0.2;

/// Asks the pod at an address for its status; an error is the cause in words.
pub type Ask =
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<Value, String>> + Send>> + Send + Sync;

/// The usual way to ask.
#[must_use]
pub fn ask(pods: PodStatus) -> Box<Ask> {
    Box::new(move |address| {
        let pods = pods.clone();
        Box::pin(async move {
            pods.read(&address).await.map_err(|error| {
                let cause = std::error::Error::source(&error);
                cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
            })
        })
    })
}

/// Samples portals, one task each, until it is dropped.
pub struct Sampler {
    shared: Arc<Shared>,
    tasks: Mutex<HashMap<PortalKey, Task>>,
}

struct Shared {
    index: Arc<Index>,
    samples: Samples,
    queue: Queue,
    ask: Box<Ask>,
    clock: fn() -> Timestamp,
    places: Semaphore,
}

struct Task {
    uid: Option<String>,
    sampled: Sampled,
    handle: JoinHandle<()>,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Sampler {
    /// A sampler that fills the samples of an index.
    #[must_use]
    pub fn new(
        index: Arc<Index>,
        samples: Samples,
        queue: Queue,
        ask: Box<Ask>,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                index,
                samples,
                queue,
                ask,
                clock,
                places: Semaphore::new(CONCURRENCY),
            }),
            tasks: Mutex::default(),
        }
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<PortalKey, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a portal as it is now.
    pub fn portal(&self, key: &PortalKey, portal: &PortalPlatform) {
        let Some(sampled) = recovery_objective::sampled(portal) else {
            self.forget(key);
            return;
        };
        let uid = portal.metadata.uid.clone();
        let mut tasks = self.tasks();
        let before = tasks.get(key);
        if before.is_some_and(|task| task.uid == uid && task.sampled == sampled) {
            return;
        }
        // Another objective changes nothing about what is known.
        let known =
            before.is_some_and(|task| task.uid == uid && task.sampled.cluster == sampled.cluster);
        let wake = if known {
            self.shared.samples.wake_up_call(key)
        } else {
            None
        };
        let written: Option<&ArchivedLog> = portal
            .status
            .as_ref()
            .and_then(|status| status.database.as_ref()?.archived.as_ref());
        let wake = wake.unwrap_or_else(|| self.shared.samples.begin(key, written));
        let handle = tokio::spawn(run(self.shared.clone(), key.clone(), sampled.clone(), wake));
        tasks.insert(
            key.clone(),
            Task {
                uid,
                sampled,
                handle,
            },
        );
    }

    /// Forgets a portal that is gone or has no backups any more.
    pub fn forget(&self, key: &PortalKey) {
        if self.tasks().remove(key).is_some() {
            self.shared.samples.forget(key);
        }
    }
}

async fn run(
    shared: Arc<Shared>,
    key: PortalKey,
    sampled: Sampled,
    wake: Arc<tokio::sync::Notify>,
) {
    shared.index.wait_until_settled().await;
    let mut pause = (sampled.objective / SAMPLES)
        .min(FIRST)
        .mul_f64(random_fraction());
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
        pause = once(&shared, &key, &sampled).await;
        pause = pause.mul_f64(1.0 - JITTER * random_fraction());
    }
}

/// Takes one sample and returns the pause before the next.
async fn once(shared: &Shared, key: &PortalKey, sampled: &Sampled) -> Duration {
    let world = shared.index.world(key);
    let before = world.archiving.clone();
    let primary = world.cluster(&sampled.cluster).and_then(|cluster| {
        // Without an archiver PostgreSQL takes every segment for archived.
        let server_name = cluster.server_name.as_deref()?;
        let pod = world
            .pods
            .iter()
            .find(|pod| *pod.name == *cluster.primary)?;
        Some((cluster, server_name, pod.address.as_deref()?))
    });
    let Some((cluster, server_name, address)) = primary else {
        let known = shared.samples.failed(
            key,
            (shared.clock)(),
            "there is no primary that archives now",
        );
        tell(shared, key, before.as_ref(), known.as_ref());
        return NOBODY;
    };
    shared.samples.archives_into(key, server_name);
    let window = world.recovery_window(&sampled.cluster, server_name);
    let last_backup =
        window.and_then(|window| window.last_successful_backup_time.as_deref()?.parse().ok());
    let timeout = SignedDuration::try_from(sampled.archive_timeout).unwrap_or_default();
    // Read before it is asked: what was committed by then is in the answer.
    let now = (shared.clock)();
    let answer = ask_one(shared, address).await;
    let reading = answer.and_then(|answer| {
        Reading::parse(now, &answer, under_way(&cluster.conditions))
            .ok_or_else(|| format!("{} says that it is no primary", cluster.primary))
    });
    let known = match reading {
        Ok(reading) => {
            let primary = &cluster.primary;
            let known = shared
                .samples
                .answered(key, primary, &reading, timeout, last_backup);
            if former_primary_rejoined(shared, key, &world).await {
                shared.samples.former_primary_rejoined(key)
            } else {
                known
            }
        }
        Err(cause) => shared.samples.failed(key, now, &cause),
    };
    tell(shared, key, before.as_ref(), known.as_ref());
    let failed_over = known
        .as_ref()
        .and_then(|known| known.gap)
        .is_some_and(|noticed| now.duration_since(noticed) < AFTER_FAILOVER);
    if failed_over {
        return SHORTEST;
    }
    let usual = sampled.objective / SAMPLES;
    let urgent = known.as_ref().is_none_or(|known| {
        let half = SignedDuration::try_from(sampled.objective / 2).unwrap_or_default();
        known.failure.is_some()
            || known.stalled.is_some()
            || known
                .covered
                .is_none_or(|covered| now.duration_since(covered) > half)
    });
    if urgent { usual / CLOSER } else { usual }.max(SHORTEST)
}

async fn ask_one(shared: &Shared, address: &str) -> Result<Value, String> {
    let _place = shared.places.acquire().await;
    (shared.ask)(address.to_owned()).await
}

/// Whether the primary before a failover that may have left a gap is a standby of the new one by now, with nothing left to archive.
async fn former_primary_rejoined(shared: &Shared, key: &PortalKey, world: &World) -> bool {
    let Some(former) = shared.samples.former_primary(key) else {
        return false;
    };
    let pod = world
        .pods
        .iter()
        .find(|pod| pod.name == former && pod.ready);
    let Some(address) = pod.and_then(|pod| pod.address.as_deref()) else {
        return false;
    };
    let answer = ask_one(shared, address).await.unwrap_or_default();
    answer["isPrimary"] != true
        && answer["isWalReceiverActive"] == true
        && answer["readyWalFiles"].as_u64().unwrap_or(0) == 0
}

/// Has a portal looked at if more is known than before.
fn tell(shared: &Shared, key: &PortalKey, before: Option<&Archiving>, now: Option<&Archiving>) {
    if before != now {
        shared.queue.add(key.clone());
    }
}

//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! Three rules keep two processes from leading at once. Every write of the Lease carries the resourceVersion it was
//! based on. A candidate waits until the record has not changed for the whole lease, by its own clock. A leader
//! counts its term from the moment it *sent* the last renewal that succeeded, and stops a tenth of the lease early.

use std::{fmt, pin::pin, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams, WatchEvent, WatchParams},
};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::{debug, info, warn};

use self::record::{Record, holder_of, micro_now, release_of, renewal_of};
use super::{backoff::Backoff, term::Leading};

mod record;

/// Pause of a leader between tries to renew: its term is short, so it does not back off further.
const RETRY: Duration = Duration::from_millis(250);
/// Longest time that the release on shutdown may take.
const RELEASE: Duration = Duration::from_secs(2);

/// Where the Lease is and how it is held.
#[derive(Debug, Clone)]
pub struct LeaderSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are, usually the pod's name. Two processes of one name are safe: a claim is told by its time as well.
    pub identity: String,
    /// How long the others wait for a silent leader; whole seconds.
    pub lease: Duration,
    /// How often the leader renews; at most half the lease.
    pub renew: Duration,
}

impl LeaderSettings {
    /// Settings with a lease of 5 s, renewed every 2 s.
    #[must_use]
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease: Duration::from_secs(5),
            renew: Duration::from_secs(2),
        }
    }

    /// How long a leader trusts a renewal. What is missing to the lease covers writes that are on their way.
    fn trusted(&self) -> Duration {
        self.lease * 9 / 10
    }

    /// Deadline of one request, so that two tries fit between the time to renew and the end of trust.
    fn request(&self) -> Duration {
        self.trusted().saturating_sub(self.renew) / 2
    }
}

/// Why leadership ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaderError {
    /// No renewal succeeded in time. Nobody else is known to lead: [`run`] may be called again.
    #[error("failed to renew lease {lease} in time")]
    Lapsed {
        /// Namespace and name of the Lease.
        lease: String,
    },
    /// Somebody else took the Lease, or it was deleted (then `holder` is empty). The process should end.
    #[error("lost lease {lease} to {holder:?}")]
    Usurped {
        /// Namespace and name of the Lease.
        lease: String,
        /// The holder found in it.
        holder: String,
    },
}

/// Campaigns for the Lease, then renews it, until `shutdown` resolves (the Lease is released) or leadership is lost.
///
/// `leading` remembers our last claim, so that a second call after [`LeaderError::Lapsed`] takes back a Lease that
/// nobody else has held since without waiting for it to expire.
///
/// # Errors
/// When leadership was won and then lost. Failures before that are retried for ever.
pub async fn run(
    client: Client,
    settings: LeaderSettings,
    leading: &mut Leading,
    shutdown: impl Future<Output = ()>,
) -> Result<(), LeaderError> {
    let leases = Api::namespaced(client, &settings.namespace);
    let mut election = Election {
        leases,
        settings,
        leading,
        held: None,
    };
    let outcome = tokio::select! {
        biased;
        () = shutdown => Ok(()),
        Err(lost) = election.campaign_and_rule() => Err(lost),
    };
    // Writes must have stopped before another process can see the Lease as free.
    election.leading.revoke();
    if outcome.is_ok() {
        election.release().await;
    }
    outcome
}

struct Election<'a> {
    leases: Api<Lease>,
    settings: LeaderSettings,
    leading: &'a mut Leading,
    /// The Lease as the server last returned it to us as its holder.
    held: Option<Lease>,
}

impl Election<'_> {
    async fn campaign_and_rule(&mut self) -> Result<std::convert::Infallible, LeaderError> {
        let (mut lease, mut renewed) = self.campaign().await;
        info!(lease = %self.settings, identity = self.settings.identity, "leading");
        loop {
            self.held = Some(lease.clone());
            sleep_until(renewed + self.settings.renew).await;
            (lease, renewed) = self.renew(lease, renewed + self.settings.trusted()).await?;
        }
    }

    /// Follows the Lease until it is ours; returns it with the time at which the claim was sent.
    async fn campaign(&mut self) -> (Lease, Instant) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1));
        let mut record = Record::default();
        loop {
            let sent = Instant::now();
            match timeout_at(
                sent + self.settings.lease,
                self.leases.get_opt(&self.settings.name),
            )
            .await
            {
                Ok(Ok(lease)) => {
                    record.observe(lease, &self.settings);
                    if let Some(won) = self.follow(&mut record, &mut backoff).await {
                        return won;
                    }
                }
                Ok(Err(error)) => warn!(lease = %self.settings, %error, "failed to read lease"),
                Err(_) => warn!(lease = %self.settings, "failed to read lease in time"),
            }
            sleep(backoff.next()).await;
        }
    }

    /// Watches the record from the version just read and claims it when it is free; `None`: read it again.
    async fn follow(
        &mut self,
        record: &mut Record,
        backoff: &mut Backoff,
    ) -> Option<(Lease, Instant)> {
        let (leases, name) = (self.leases.clone(), &self.settings.name);
        let only = WatchParams::default()
            .disable_bookmarks()
            .fields(&format!("metadata.name={name}"));
        let version = record.version().to_owned();
        let mut events = pin!(
            futures::stream::once(async move { leases.watch(&only, &version).await }).try_flatten()
        );
        loop {
            let free_at = if self.is_ours(record.lease.as_ref()) {
                Instant::now()
            } else {
                record.free_at
            };
            // A free Lease is claimed before more is heard: a stale claim is refused by its resourceVersion.
            let event = tokio::select! {
                biased;
                () = sleep_until(free_at) => return self.claim(record).await,
                event = events.next() => event?,
            };
            match event {
                Ok(WatchEvent::Added(lease) | WatchEvent::Modified(lease)) => {
                    backoff.reset();
                    record.observe(Some(lease), &self.settings);
                }
                Ok(WatchEvent::Deleted(_)) => record.observe(None, &self.settings),
                Ok(WatchEvent::Bookmark(_)) => {}
                Ok(WatchEvent::Error(status)) => {
                    debug!(lease = %self.settings, code = status.code, "watch of lease ended");
                    return None;
                }
                Err(error) => {
                    warn!(lease = %self.settings, %error, "failed to watch lease");
                    return None;
                }
            }
        }
    }

    /// Writes ourselves into the record; `None` if somebody was faster or the server failed.
    async fn claim(&mut self, record: &Record) -> Option<(Lease, Instant)> {
        let (sent, now) = (Instant::now(), micro_now());
        // Remembered before the request: if only its answer is lost, the record is still known as ours.
        self.leading.claimed = Some(now.clone());
        let lease = self.claim_of(record.lease.as_ref(), now);
        match self.write(&lease, sent + self.settings.request()).await {
            Written::Done(lease) => {
                self.leading.grant(sent + self.settings.trusted());
                Some((*lease, sent))
            }
            Written::Stale | Written::Failed => None,
        }
    }

    /// Renews until it succeeds or trust in the last renewal ends.
    async fn renew(
        &mut self,
        mut lease: Lease,
        end: Instant,
    ) -> Result<(Lease, Instant), LeaderError> {
        loop {
            let sent = Instant::now();
            if sent >= end {
                return Err(LeaderError::Lapsed {
                    lease: self.settings.to_string(),
                });
            }
            match self
                .write(
                    &renewal_of(&lease),
                    (sent + self.settings.request()).min(end),
                )
                .await
            {
                Written::Done(lease) => {
                    self.leading.grant(sent + self.settings.trusted());
                    return Ok((*lease, sent));
                }
                // An earlier renewal may have been committed and its answer lost; or somebody added an annotation.
                Written::Stale => lease = self.reread(lease, end).await?,
                Written::Failed => {}
            }
            sleep_until((Instant::now() + RETRY).min(end)).await;
        }
    }

    /// The Lease as it is now, if it is still ours; as we knew it if it cannot be read.
    async fn reread(&self, known: Lease, end: Instant) -> Result<Lease, LeaderError> {
        let end = (Instant::now() + self.settings.request()).min(end);
        match timeout_at(end, self.leases.get_opt(&self.settings.name)).await {
            Ok(Ok(Some(found))) if self.is_ours(Some(&found)) => Ok(found),
            Ok(Ok(found)) => Err(LeaderError::Usurped {
                lease: self.settings.to_string(),
                holder: found.as_ref().map(holder_of).unwrap_or_default().to_owned(),
            }),
            Ok(Err(_)) | Err(_) => Ok(known),
        }
    }

    /// Clears the holder, so that a candidate need not wait.
    async fn release(&mut self) {
        if self.leading.claimed.is_none() {
            return;
        }
        let end = Instant::now() + RELEASE;
        let mut known = self.held.take();
        while Instant::now() < end {
            let lease = match known.take() {
                Some(lease) => lease,
                None => match timeout_at(end, self.leases.get_opt(&self.settings.name)).await {
                    Ok(Ok(Some(lease))) if self.is_ours(Some(&lease)) => lease,
                    Ok(Ok(_)) => return,
                    Ok(Err(_)) | Err(_) => {
                        sleep(RETRY).await;
                        continue;
                    }
                },
            };
            match self.write(&release_of(lease), end).await {
                Written::Done(_) => {
                    info!(lease = %self.settings, "released lease");
                    return;
                }
                // A renewal was under way at shutdown: read the version it left.
                Written::Stale => {}
                Written::Failed => sleep(RETRY).await,
            }
        }
        warn!(lease = %self.settings, "failed to release lease");
    }

    /// Creates the Lease, or replaces the version that `lease` was read at.
    async fn write(&self, lease: &Lease, end: Instant) -> Written {
        let (options, replaces) = (
            PostParams::default(),
            lease.metadata.resource_version.is_some(),
        );
        let request = async {
            if replaces {
                self.leases
                    .replace(&self.settings.name, &options, lease)
                    .await
            } else {
                self.leases.create(&options, lease).await
            }
        };
        match timeout_at(end, request).await {
            Ok(Ok(lease)) => return Written::Done(Box::new(lease)),
            Ok(Err(kube::Error::Api(status)))
                if status.code == 409 || (replaces && status.code == 404) =>
            {
                return Written::Stale;
            }
            Ok(Err(error)) => warn!(lease = %self.settings, %error, "failed to write lease"),
            Err(_) => warn!(lease = %self.settings, "failed to write lease in time"),
        }
        Written::Failed
    }

    /// Whether the record is our own claim, not that of another process of the same name.
    fn is_ours(&self, lease: Option<&Lease>) -> bool {
        let Some(spec) = lease.and_then(|lease| lease.spec.as_ref()) else {
            return false;
        };
        self.leading.claimed.is_some()
            && spec.acquire_time == self.leading.claimed
            && spec.holder_identity.as_deref() == Some(&self.settings.identity)
    }

    fn claim_of(&self, found: Option<&Lease>, now: MicroTime) -> Lease {
        let mut lease = found.cloned().unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                ..ObjectMeta::default()
            },
            spec: None,
        });
        lease.metadata.managed_fields = None;
        let spec = lease.spec.get_or_insert_default();
        let changes = spec.holder_identity.as_ref() != Some(&self.settings.identity);
        spec.lease_transitions = match spec.lease_transitions {
            Some(count) => Some(count.saturating_add(i32::from(changes))),
            None => Some(0),
        };
        spec.holder_identity = Some(self.settings.identity.clone());
        spec.lease_duration_seconds =
            Some(i32::try_from(self.settings.lease.as_secs().max(1)).unwrap_or(i32::MAX));
        spec.acquire_time = Some(now.clone());
        spec.renew_time = Some(now);
        lease
    }
}

/// How the server took a write of the Lease.
enum Written {
    Done(Box<Lease>),
    /// What we knew is out of date.
    Stale,
    Failed,
}

impl fmt::Display for LeaderSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

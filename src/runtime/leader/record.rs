//! The Lease as a candidate sees it, and what a holder writes into it.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use tokio::time::Instant;

use super::LeaderSettings;

/// What a candidate knows of the Lease, and since when by its own clock.
pub(super) struct Record {
    /// The Lease as last read; `None` if there is none.
    pub(super) lease: Option<Lease>,
    known: bool,
    /// When it may be claimed.
    pub(super) free_at: Instant,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            lease: None,
            known: false,
            free_at: Instant::now(),
        }
    }
}

impl Record {
    /// Takes in a reading. The wait begins anew only if holder or times differ: an annotation is no sign of life.
    pub(super) fn observe(&mut self, lease: Option<Lease>, settings: &LeaderSettings) {
        let spec = lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let before = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        let now = Instant::now();
        if lease
            .as_ref()
            .is_some_and(|lease| holder_of(lease).is_empty())
        {
            self.free_at = now;
        } else if !self.known || spec != before {
            self.free_at = match spec {
                Some(spec) => now + promised(spec).unwrap_or(settings.lease),
                // Nobody has led yet, as far as we know.
                None if !self.known => now,
                // Deleted under a leader that may not know it before its next renewal.
                None => now + settings.lease,
            };
        }
        self.lease = lease;
        self.known = true;
    }

    /// The version to watch from.
    pub(super) fn version(&self) -> &str {
        self.lease
            .as_ref()
            .and_then(|lease| lease.metadata.resource_version.as_deref())
            .unwrap_or("0")
    }
}

/// How long the holder said the record is good for.
fn promised(spec: &LeaseSpec) -> Option<Duration> {
    spec.lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(Duration::from_secs)
}

/// Who holds the Lease; empty if nobody does.
pub(super) fn holder_of(lease: &Lease) -> &str {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

/// The Lease with a new time.
pub(super) fn renewal_of(lease: &Lease) -> Lease {
    let mut lease = lease.clone();
    lease.metadata.managed_fields = None;
    lease.spec.get_or_insert_default().renew_time = Some(micro_now());
    lease
}

/// The Lease without a holder.
pub(super) fn release_of(mut lease: Lease) -> Lease {
    lease.metadata.managed_fields = None;
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    spec.renew_time = Some(micro_now());
    lease
}

/// The wall clock in the precision that the Lease keeps. It is written for people and never compared with a clock.
pub(super) fn micro_now() -> MicroTime {
    let now = Timestamp::now();
    MicroTime(Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now))
}

//! What the primaries of databases told of their archived logs, by portal. Fed by the [sampler](super::sampler), read by each pass.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use super::queue::PortalKey;
use crate::{
    api::status::ArchivedLog,
    observe::Archiving,
    recovery_point::{History, Lsn, Reading},
};

/// All samples. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    portals: Arc<Mutex<HashMap<PortalKey, Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    history: History,
    /// Name of the folder in the object store that the history is about, once it is known.
    server_name: Option<Box<str>>,
    /// What an earlier process wrote down, which may be old.
    resumed: Option<Timestamp>,
    begun: Option<Timestamp>,
    answered: Option<Timestamp>,
    primary: Option<Box<str>>,
    /// The primary before the failover that made the gap, if there was one alone.
    former: Option<Box<str>>,
    failure: Option<Box<str>>,
    /// Since when segments wait, and how far the archive was then.
    waiting: Option<(Timestamp, Option<Lsn>)>,
    /// Told when the primary should be asked at once.
    wake: Arc<Notify>,
}

impl Samples {
    fn lock(&self) -> MutexGuard<'_, HashMap<PortalKey, Entry>> {
        self.portals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to sample a portal with what an earlier process wrote down, and returns what wakes its sampler.
    #[must_use]
    pub fn begin(&self, key: &PortalKey, before: Option<&ArchivedLog>) -> Arc<Notify> {
        let covered = before.and_then(|before| before.until.as_deref()?.parse::<Timestamp>().ok());
        let sampled = Entry {
            history: History::resume(covered, before.and_then(|before| before.timeline)),
            resumed: covered,
            server_name: before.map(|before| before.server_name.as_str().into()),
            ..Entry::default()
        };
        let wake = sampled.wake.clone();
        self.lock().insert(key.clone(), sampled);
        wake
    }

    /// Forgets a portal.
    pub fn forget(&self, key: &PortalKey) {
        self.lock().remove(key);
    }

    /// What wakes the sampler of a portal that is sampled already.
    #[must_use]
    pub fn wake_up_call(&self, key: &PortalKey) -> Option<Arc<Notify>> {
        self.lock().get(key).map(|sampled| sampled.wake.clone())
    }

    /// Has the primary of a portal asked at once, since another instance has become it.
    pub fn wake(&self, key: &PortalKey) {
        if let Some(sampled) = self.lock().get(key) {
            sampled.wake.notify_one();
        }
    }

    /// Takes note of where the log is archived. What is known of another folder says nothing about this one: its database may be another,
    /// too.
    pub fn archives_into(&self, key: &PortalKey, server_name: &str) {
        let mut portals = self.lock();
        let Some(sampled) = portals.get_mut(key) else {
            return;
        };
        let before = sampled.server_name.replace(server_name.into());
        if before.is_some_and(|before| *before != *server_name) {
            *sampled = Entry {
                server_name: sampled.server_name.take(),
                wake: sampled.wake.clone(),
                ..Entry::default()
            };
        }
    }

    /// Takes an answer of a primary, and when the last base backup ended. Returns what is known now.
    #[must_use]
    pub fn answered(
        &self,
        key: &PortalKey,
        primary: &str,
        reading: &Reading,
        archive_timeout: SignedDuration,
        last_backup: Option<Timestamp>,
    ) -> Option<Archiving> {
        let mut portals = self.lock();
        let sampled = portals.get_mut(key)?;
        sampled.begun.get_or_insert(reading.at);
        sampled.failure = None;
        sampled.answered = Some(reading.at);
        let end = reading.archived.as_ref().map(|archived| archived.end);
        sampled.waiting = match (reading.ready_files, sampled.waiting) {
            (0, _) => None,
            (_, Some((since, before))) if before == end => Some((since, before)),
            _ => Some((reading.at, end)),
        };
        if sampled.primary.as_deref() != Some(primary) {
            let before = sampled.primary.replace(primary.into());
            let first = sampled.history.gap().is_none();
            sampled.former = before.filter(|_| first);
        }
        sampled.history.observe(reading, archive_timeout);
        if let Some(completed) = last_backup {
            sampled.history.base_backup(completed);
        }
        Some(sampled.archiving())
    }

    /// The former primary to be asked, while a failover may have left a gap.
    #[must_use]
    pub fn former_primary(&self, key: &PortalKey) -> Option<Box<str>> {
        let portals = self.lock();
        let sampled = portals.get(key)?;
        sampled.history.gap().and(sampled.former.clone())
    }

    /// The former primary streams from the new one.
    #[must_use]
    pub fn former_primary_rejoined(&self, key: &PortalKey) -> Option<Archiving> {
        let mut portals = self.lock();
        let sampled = portals.get_mut(key)?;
        sampled.history.former_primary_rejoined();
        Some(sampled.archiving())
    }

    /// The primary did not answer.
    #[must_use]
    pub fn failed(&self, key: &PortalKey, at: Timestamp, cause: &str) -> Option<Archiving> {
        let mut portals = self.lock();
        let sampled = portals.get_mut(key)?;
        sampled.begun.get_or_insert(at);
        sampled.failure = Some(cause.into());
        Some(sampled.archiving())
    }

    /// What is known of a portal's archive; `None`: its primary has not been asked.
    #[must_use]
    pub fn archiving(&self, key: &PortalKey) -> Option<Archiving> {
        let portals = self.lock();
        portals
            .get(key)
            .filter(|sampled| sampled.begun.is_some())
            .map(Entry::archiving)
    }
}

impl Entry {
    fn archiving(&self) -> Archiving {
        let covered = self.history.covered();
        Archiving {
            covered,
            begun: self.begun,
            measured: covered != self.resumed,
            timeline: self.history.timeline(),
            gap: self.history.gap().map(|gap| gap.noticed),
            answered: self.answered,
            failure: self.failure.clone(),
            stalled: self.waiting.map(|(since, _)| since),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is known after a primary said that it is in this segment and has archived all before.
    fn archived(samples: &Samples, key: &PortalKey, folder: &str, segment: u64) -> Archiving {
        samples.archives_into(key, folder);
        let answer = json!({
            "isPrimary": true, "timeLineID": 1, "currentLsn": format!("0/{segment:X}000060"),
            "lastArchivedWAL": format!("{:024X}", (1_u128 << 64) + u128::from(segment)),
        });
        let at = Timestamp::from_second(1000 + i64::try_from(segment).unwrap()).unwrap();
        let reading = Reading::parse(at, &answer, false).unwrap();
        samples
            .answered(key, "pg-1", &reading, SignedDuration::from_mins(5), None)
            .unwrap()
    }

    #[test]
    fn what_is_known_of_one_folder_says_nothing_about_another() {
        let samples = Samples::default();
        let key = PortalKey::new("docks", "harbor");
        let written = ArchivedLog {
            server_name: "first".into(),
            ..ArchivedLog::default()
        };
        let wake = samples.begin(&key, Some(&written));
        let first = archived(&samples, &key, "first", 9).covered;
        assert!(first.is_some());
        // Another database begins with lower positions, which would be foreign to the first.
        let second = archived(&samples, &key, "second", 3).covered;
        assert!(second.is_some_and(|second| Some(second) < first));
        assert!(Arc::ptr_eq(&wake, &samples.wake_up_call(&key).unwrap()));
    }
}

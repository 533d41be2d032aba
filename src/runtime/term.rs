//! The term of leadership: a right to write that ends by itself, by the local clock.

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// Makes the two ends of leadership: the election holds [`Leading`], everybody else a clone of [`Term`].
#[must_use]
pub fn channel() -> (Leading, Term) {
    let (until, ends) = watch::channel(None);
    (
        Leading {
            until,
            claimed: None,
        },
        Term { ends },
    )
}

/// The end that grants the term. Dropping it ends the term at once.
#[derive(Debug)]
pub struct Leading {
    until: watch::Sender<Option<Instant>>,
    /// The `acquireTime` of our last claim: by it we know our own record from that of a namesake.
    pub(super) claimed: Option<MicroTime>,
}

impl Leading {
    /// Grants or prolongs the term.
    pub(super) fn grant(&self, until: Instant) {
        self.until.send_replace(Some(until));
    }

    /// Grants a term without end, where no lease is asked for.
    pub(super) fn grant_for_ever(&self) {
        const CENTURY: std::time::Duration = std::time::Duration::from_hours(876_000);
        self.grant(Instant::now() + CENTURY);
    }

    /// Ends the term now.
    pub(super) fn revoke(&self) {
        self.until.send_replace(None);
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.revoke();
    }
}

/// Tells whether this process may write. Cheap to clone and to ask.
///
/// The answer comes from the monotonic clock (`CLOCK_MONOTONIC`), which runs on while the process is stopped:
/// after a SIGSTOP longer than the lease the first answer is already no.
#[derive(Debug, Clone)]
pub struct Term {
    ends: watch::Receiver<Option<Instant>>,
}

impl Term {
    /// Whether the lease is held at this moment.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.ends
            .borrow()
            .is_some_and(|until| Instant::now() < until)
    }

    /// When the term ends unless it is prolonged.
    #[cfg(test)]
    pub(super) fn ends(&self) -> Option<Instant> {
        *self.ends.borrow()
    }

    /// Waits until the lease is held; for ever if the election has ended.
    pub async fn elected(&self) {
        let mut ends = self.ends.clone();
        loop {
            if ends
                .borrow_and_update()
                .is_some_and(|until| Instant::now() < until)
            {
                return;
            }
            if ends.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until the lease is not held; returns at once if it is not held now.
    pub async fn lost(&self) {
        let mut ends = self.ends.clone();
        loop {
            let until = *ends.borrow_and_update();
            let Some(until) = until.filter(|until| Instant::now() < *until) else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                // A dropped sender has revoked the term before.
                _ = ends.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_term_ends_by_the_clock_alone() {
        let (leading, term) = channel();
        assert!(!term.is_leading());
        leading.grant(Instant::now() + Duration::from_secs(5));
        assert!(term.is_leading());
        advance(Duration::from_secs(5)).await;
        assert!(!term.is_leading());
        assert!(term.lost().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn elected_waits_for_the_grant_and_lost_for_its_end() {
        let (leading, term) = channel();
        assert!(term.elected().now_or_never().is_none());
        leading.grant(Instant::now() + Duration::from_secs(5));
        term.elected().await;
        assert!(term.lost().now_or_never().is_none());
        let started = Instant::now();
        term.lost().await;
        assert_eq!(started.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_prolonged_term_is_not_lost_at_its_first_end() {
        let (leading, term) = channel();
        let started = Instant::now();
        leading.grant(started + Duration::from_secs(5));
        let lost = tokio::spawn({
            let term = term.clone();
            async move { term.lost().await }
        });
        advance(Duration::from_secs(4)).await;
        leading.grant(started + Duration::from_secs(9));
        assert!(lost.await.is_ok());
        assert_eq!(started.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_election_ends_the_term() {
        let (leading, term) = channel();
        leading.grant(Instant::now() + Duration::from_secs(5));
        drop(leading);
        assert!(!term.is_leading());
        term.lost().await;
        assert!(term.elected().now_or_never().is_none());
    }
}

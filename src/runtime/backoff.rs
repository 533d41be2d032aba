//! Delays between tries: exponential, with jitter, one series per watch and one per portal.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The part of a delay that jitter may take away.
const JITTER: f64 = 0.3;

/// A growing series of delays: each is twice the one before, up to a maximum, less a random part of at most 30 %.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    tries: u32,
}

impl Backoff {
    /// A series that starts at `min` and stops growing at `max`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, tries: 0 }
    }

    /// The series for one watch: 200 ms to 30 s.
    #[must_use]
    pub const fn watch() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }

    /// The series for one portal: 1 s to 4 s, so that it recovers within five seconds of the end of a fault.
    #[must_use]
    pub const fn portal() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(4))
    }

    /// The next delay, with random jitter.
    #[expect(
        clippy::should_implement_trait,
        reason = "a series of delays has no end, so it is no iterator"
    )]
    pub fn next(&mut self) -> Duration {
        self.next_with(random_fraction())
    }

    /// The next delay, with the caller's random `fraction` from 0 (no jitter) to 1 (all of it).
    pub fn next_with(&mut self, fraction: f64) -> Duration {
        let doubled = 2_u32
            .checked_pow(self.tries)
            .and_then(|factor| self.min.checked_mul(factor));
        self.tries = self.tries.saturating_add(1);
        let whole = doubled.unwrap_or(self.max).min(self.max);
        whole.mul_f64(1.0 - JITTER * fraction.clamp(0.0, 1.0))
    }

    /// Begins the series again, after a success.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

/// One [`Backoff`] for each portal that is failing now.
#[derive(Debug, Default)]
pub struct PortalBackoff {
    failing: Mutex<HashMap<(String, String), Backoff>>,
}

impl PortalBackoff {
    /// The next delay for this portal, which counts as failing from now on.
    pub fn next(&self, namespace: &str, name: &str) -> Duration {
        self.lock()
            .entry((namespace.to_owned(), name.to_owned()))
            .or_insert_with(Backoff::portal)
            .next()
    }

    /// Ends the series of a portal that succeeded or is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let mut failing = self.lock();
        // The usual case, nothing is failing, allocates no key.
        if !failing.is_empty() {
            failing.remove(&(namespace.to_owned(), name.to_owned()));
        }
    }

    /// How many portals are failing.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no portal is failing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Backoff>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number from 0 to 1 from the keys that the standard library draws for each hash map: good enough to
/// spread retries, and no dependency.
#[must_use]
pub fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish();
    let [high, low, ..] = bits.to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_double_up_to_the_maximum() {
        let mut backoff = Backoff::new(SECOND, 5 * SECOND);
        let delays: Vec<_> = (0..4).map(|_| backoff.next_with(0.0)).collect();
        assert_eq!(delays, [SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND]);
    }

    #[test]
    fn jitter_only_shortens_and_never_below_seven_tenths() {
        let mut backoff = Backoff::watch();
        for _ in 0..100 {
            let delay = backoff.next();
            assert!(
                delay >= Duration::from_millis(140) && delay <= Duration::from_secs(30),
                "{delay:?}"
            );
        }
        assert_eq!(
            Backoff::new(SECOND, SECOND).next_with(1.0),
            Duration::from_millis(700)
        );
    }

    #[test]
    fn a_thousand_failures_do_not_overflow() {
        let mut backoff = Backoff::portal();
        let last = (0..1000).map(|_| backoff.next_with(0.0)).last();
        assert_eq!(last, Some(4 * SECOND));
    }

    #[test]
    fn reset_begins_again() {
        let mut backoff = Backoff::portal();
        backoff.next();
        backoff.next();
        backoff.reset();
        assert_eq!(backoff.next_with(0.0), SECOND);
    }

    #[test]
    fn each_portal_has_its_own_series_until_it_is_forgotten() {
        let backoff = PortalBackoff::default();
        for _ in 0..4 {
            backoff.next("team", "broken");
        }
        assert!(backoff.next("team", "broken") > 2 * SECOND);
        assert!(backoff.next("team", "other") <= SECOND);
        backoff.forget("team", "broken");
        assert_eq!(backoff.len(), 1);
        assert!(backoff.next("team", "broken") <= SECOND);
    }

    #[test]
    fn random_fractions_differ_and_stay_in_range() {
        let drawn: Vec<_> = (0..50).map(|_| random_fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..=1.0).contains(fraction)));
        assert!(
            drawn
                .iter()
                .any(|fraction| (fraction - drawn[0]).abs() > 0.01)
        );
    }
}

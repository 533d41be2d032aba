//! The metrics of the operator, by typed methods only: labels are enums, kinds and portal names, never free text.
//!
//! What belongs to a portal or a watch is kept as plain data and turned into series at the scrape, so that ten
//! thousand portals cost a few megabytes, and a portal that is gone leaves nothing behind.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::Registry,
};
use tokio::time::Instant;

use self::labels::{ActionLabels, ReconcileLabels, RequestLabels};
pub use self::labels::{ActionResult, ActionVerb, ReconcileResult, RequestCode, RequestVerb};
use super::term::Term;
use crate::api::status::Verdict;

mod labels;

/// One policy of one portal, as last assessed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicySample {
    /// Name of the policy.
    pub policy: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// Since when what is observed lasts, for policies that measure time.
    pub since: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct PortalSample {
    ready: bool,
    policies: Vec<PolicySample>,
}

/// What is turned into series at the scrape.
#[derive(Debug)]
struct Live {
    term: Term,
    version: &'static str,
    portals: Mutex<BTreeMap<(String, String), PortalSample>>,
    /// Last success of each watch, by kind.
    watches: Mutex<BTreeMap<&'static str, Instant>>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_duration: Histogram,
    actions: Family<ActionLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    queue_depth: Gauge,
    live: Arc<Live>,
}

/// All metrics of the operator. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl Metrics {
    /// Metrics of this version of the operator; whether it leads is asked of `term` at each scrape.
    #[must_use]
    pub fn new(version: &'static str, term: Term) -> Self {
        let mut registry = Registry::with_prefix("portal_operator");
        let reconciles = Family::default();
        registry.register(
            "reconciles",
            "Reconciles by how they ended",
            reconciles.clone(),
        );
        // From a no-op pass (well below a millisecond) to the deadline of a pass.
        let bounds = [
            0.000_1, 0.000_5, 0.002, 0.01, 0.05, 0.2, 0.5, 1.0, 2.5, 10.0, 30.0,
        ];
        let reconcile_duration = Histogram::new(bounds);
        registry.register(
            "reconcile_duration_seconds",
            "Duration of reconciles",
            reconcile_duration.clone(),
        );
        let actions = Family::default();
        registry.register(
            "actions",
            "Actions on children by kind, verb and result",
            actions.clone(),
        );
        let requests = Family::default();
        registry.register(
            "http_requests",
            "Requests to the API server",
            requests.clone(),
        );
        let queue_depth = Gauge::default();
        registry.register(
            "queue_depth",
            "Portals waiting to be reconciled",
            queue_depth.clone(),
        );
        let live = Arc::new(Live {
            term,
            version,
            portals: Mutex::default(),
            watches: Mutex::default(),
        });
        registry.register_collector(Box::new(live.clone()));
        let inner = Inner {
            registry,
            reconciles,
            reconcile_duration,
            actions,
            requests,
            queue_depth,
            live,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts a reconcile and its duration.
    pub fn reconciled(&self, result: ReconcileResult, duration: Duration) {
        self.inner
            .reconciles
            .get_or_create(&ReconcileLabels { result })
            .inc();
        self.inner
            .reconcile_duration
            .observe(duration.as_secs_f64());
    }

    /// Counts an action on a child of this kind.
    pub fn action(&self, kind: &'static str, verb: ActionVerb, result: ActionResult) {
        self.inner
            .actions
            .get_or_create(&ActionLabels { kind, verb, result })
            .inc();
    }

    /// Counts a request to the API server.
    pub fn request(&self, verb: RequestVerb, resource: &str, code: RequestCode) {
        self.inner
            .requests
            .get_or_create(&RequestLabels {
                verb,
                resource: resource.to_owned(),
                code,
            })
            .inc();
    }

    /// Tells how many portals wait.
    pub fn set_queue_depth(&self, depth: usize) {
        self.inner
            .queue_depth
            .set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// Notes that the watch of this kind heard from the server now.
    pub fn watch_succeeded(&self, kind: &'static str) {
        lock(&self.inner.live.watches).insert(kind, Instant::now());
    }

    /// Drops the watch of a kind that is no longer watched.
    pub fn forget_watch(&self, kind: &'static str) {
        lock(&self.inner.live.watches).remove(kind);
    }

    /// The watches without a success for at least `age`, for `/healthz`.
    #[must_use]
    pub fn silent_watches(&self, age: Duration) -> Vec<&'static str> {
        let watches = lock(&self.inner.live.watches);
        watches
            .iter()
            .filter(|(_, at)| at.elapsed() >= age)
            .map(|(kind, _)| *kind)
            .collect()
    }

    /// Replaces what is known of a portal.
    pub fn portal(&self, namespace: &str, name: &str, ready: bool, policies: Vec<PolicySample>) {
        let key = (namespace.to_owned(), name.to_owned());
        lock(&self.inner.live.portals).insert(key, PortalSample { ready, policies });
    }

    /// Removes every series of a portal.
    pub fn forget_portal(&self, namespace: &str, name: &str) {
        lock(&self.inner.live.portals).remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Everything in the `OpenMetrics` text format, as of now.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut page = String::new();
        // Writing to a String fails only if an encoder does; then the page so far is better than none.
        if let Err(error) = text::encode(&mut page, &self.inner.registry) {
            tracing::error!(%error, "failed to encode metrics");
        }
        page
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauges = Gauges {
            encoder: &mut encoder,
        };
        gauges.family("build_info", "Version of the operator", |add| {
            add(&[("version", self.version)], 1.0)
        })?;
        gauges.family("leader", "Whether this process holds the lease", |add| {
            add(&[], f64::from(u8::from(self.term.is_leading())))
        })?;
        gauges.family(
            "watch_age_seconds",
            "Time since a watch last heard from the server",
            |add| {
                let watches = lock(&self.watches);
                watches
                    .iter()
                    .try_for_each(|(kind, at)| add(&[("kind", kind)], at.elapsed().as_secs_f64()))
            },
        )?;
        let portals = lock(&self.portals);
        gauges.family("portals", "Portals known", |add| {
            add(
                &[],
                f64::from(u32::try_from(portals.len()).unwrap_or(u32::MAX)),
            )
        })?;
        gauges.family("portal_ready", "Whether a portal is Ready", |add| {
            portals.iter().try_for_each(|((namespace, name), portal)| {
                add(
                    &[("namespace", namespace), ("name", name)],
                    f64::from(u8::from(portal.ready)),
                )
            })
        })?;
        gauges.family(
            "policy",
            "Whether a policy holds: 1 for the present status",
            |add| {
                each_policy(&portals, |namespace, name, sample| {
                    [
                        (Verdict::True, "True"),
                        (Verdict::False, "False"),
                        (Verdict::Unknown, "Unknown"),
                    ]
                    .into_iter()
                    .try_for_each(|(verdict, status)| {
                        let labels = [
                            ("namespace", namespace),
                            ("name", name),
                            ("policy", sample.policy),
                            ("status", status),
                        ];
                        add(&labels, f64::from(u8::from(verdict == sample.verdict)))
                    })
                })
            },
        )?;
        gauges.family(
            "policy_observed_seconds",
            "How long ago: the newest work that is surely archived (RecoveryPoint), the last base backup (BackupFresh), the first point in time that can be restored (BackupRetained)",
            |add| {
                let now = Timestamp::now();
                each_policy(&portals, |namespace, name, sample| match sample.since {
                    Some(since) => add(
                        &[
                            ("namespace", namespace),
                            ("name", name),
                            ("policy", sample.policy),
                        ],
                        now.duration_since(since).as_secs_f64().max(0.0),
                    ),
                    None => Ok(()),
                })
            },
        )
    }
}

/// Writes families of gauges with a few text labels.
struct Gauges<'a, 'e> {
    encoder: &'a mut DescriptorEncoder<'e>,
}

type Add<'f> = dyn FnMut(&[(&str, &str)], f64) -> fmt::Result + 'f;

impl Gauges<'_, '_> {
    fn family(
        &mut self,
        name: &str,
        help: &str,
        series: impl FnOnce(&mut Add<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        series(&mut |labels, value| {
            if labels.is_empty() {
                return family.encode_gauge(&value);
            }
            ConstGauge::new(value).encode(family.encode_family(&labels)?)
        })
    }
}

fn each_policy(
    portals: &BTreeMap<(String, String), PortalSample>,
    mut visit: impl FnMut(&str, &str, &PolicySample) -> fmt::Result,
) -> fmt::Result {
    portals.iter().try_for_each(|((namespace, name), portal)| {
        portal
            .policies
            .iter()
            .try_for_each(|sample| visit(namespace, name, sample))
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

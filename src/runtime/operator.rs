//! The wiring: builds everything, starts the watches, and feeds portals to the pipeline while the lease is held.

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::{
    Client, Config, Resource,
    client::{Body, ClientBuilder, DynBody},
    runtime::{
        applier,
        controller::{self, Action},
        events::{Recorder, Reporter},
        reflector,
    },
};
use tokio::{net::TcpListener, task::JoinSet, time::Instant};
use tower::{BoxError, util::BoxService};

use super::{
    backoff::PortalBackoff,
    http::{self, Probe},
    index::Index,
    leader::{self, LeaderError, LeaderSettings},
    leader_gate::LeaderGate,
    leader_io,
    metrics::{Metrics, ReconcileResult},
    queue::{PortalKey, Queue},
    requests::Requests,
    sampler::{Ask, Sampler},
    sources::Sources,
    term::{self, Leading, Term},
    watch::Beats,
};
use crate::{
    plan::identity::MANAGER,
    reconcile::{Context, Guarded, reconcile},
    settings::RunSettings,
};

/// Longest pass over one portal.
const PASS: Duration = Duration::from_mins(1);
/// Pause after a pass that broke off.
const BROKEN: Duration = Duration::from_secs(5);

/// Why the operator ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The cluster's address or credentials cannot be used.
    #[error("failed to build a client; check the kubeconfig or the ServiceAccount")]
    Client(#[source] kube::Error),
    /// The endpoints cannot be served.
    #[error("failed to listen on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The lease was lost to another replica.
    #[error("lost the lease to another replica; ending, to begin anew as its standby")]
    Lease(#[source] LeaderError),
    /// No namespace is known to keep the Lease in.
    #[error("no namespace for the Lease; set --lease-namespace")]
    LeaseNamespace,
}

/// The innermost part of a client.
pub type GenericService =
    BoxService<::http::Request<Body>, ::http::Response<Box<DynBody>>, BoxError>;

/// What a client is for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// Watches and the lease.
    Observe,
    /// Everything that a pass over a portal asks for, within a term: outside it not a byte is sent.
    Act(&'a Term),
}

/// Makes the innermost part of a client, under the operator's own layers. Tests put faults here.
pub type Connect =
    dyn Fn(Purpose) -> Result<ClientBuilder<GenericService>, kube::Error> + Send + Sync;

/// The usual way to connect: from a configuration, without kube's own retries, so that no call holds a place for minutes.
#[must_use]
pub fn connect(mut config: Config) -> Box<Connect> {
    config.default_retry = false;
    Box::new(move |purpose| match purpose {
        Purpose::Observe => ClientBuilder::try_from(config.clone()),
        Purpose::Act(term) => leader_io::client_builder(&config, term.clone()),
    })
}

/// Runs until `shutdown` resolves.
///
/// # Errors
/// [`OperatorError`], after which the process should end.
pub async fn run(
    connect: &Connect,
    ask: Box<Ask>,
    default_namespace: &str,
    settings: &RunSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), OperatorError> {
    let (leading, term) = term::channel();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"), term.clone());
    let beats = Beats::default();
    let client = |purpose| -> Result<Client, OperatorError> {
        let builder = connect(purpose).map_err(OperatorError::Client)?;
        Ok(builder
            .with_layer(&Requests::new(metrics.clone(), beats.clone()))
            .with_layer(&LeaderGate::new(term.clone()))
            .build())
    };
    let observer = client(Purpose::Observe)?;
    let actor = client(Purpose::Act(&term))?;
    let queue = Queue::default();
    let index = Arc::new(Index::new(queue.clone()));
    let (portals, writer) = reflector::store::<Guarded>();
    let context = Arc::new(Context {
        client: actor.clone(),
        index: index.clone(),
        metrics: metrics.clone(),
        portals,
        recorder: Recorder::new(
            actor,
            Reporter {
                controller: MANAGER.into(),
                instance: Some(settings.identity()),
            },
        ),
        backoff: PortalBackoff::default(),
        cloudnative_pg_namespace: settings.cloudnative_pg_namespace.clone(),
        operator_namespace: settings
            .lease_namespace
            .clone()
            .unwrap_or_else(|| default_namespace.to_owned()),
        clock: Timestamp::now,
        memories: Mutex::default(),
    });
    let operator = Operator {
        client: observer,
        settings,
        metrics,
        beats,
        queue,
        index,
        context,
        term,
    };

    let listener = TcpListener::bind(settings.listen_address)
        .await
        .map_err(|source| OperatorError::Listen {
            address: settings.listen_address,
            source,
        })?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %settings.listen_address, "started");
    let mut tasks = JoinSet::new();
    tasks.spawn(http::serve(
        listener,
        Arc::new(operator.endpoints()),
        std::future::pending(),
    ));
    let sources = Sources {
        client: operator.client.clone(),
        beats: operator.beats.clone(),
        metrics: operator.metrics.clone(),
        index: operator.index.clone(),
    };
    let sampler = Arc::new(Sampler::new(
        operator.index.clone(),
        operator.index.samples(),
        operator.queue.clone(),
        ask,
        Timestamp::now,
    ));
    sources.start(
        &mut tasks,
        settings,
        writer,
        &operator.queue,
        &operator.context,
        &sampler,
    );
    let reconciles = operator.reconcile();
    let outcome = tokio::select! {
        outcome = operator.lead(leading, default_namespace, shutdown) => outcome,
        () = reconciles => Ok(()),
    };
    tasks.shutdown().await;
    tracing::info!("ended");
    outcome
}

struct Operator<'a> {
    client: Client,
    settings: &'a RunSettings,
    metrics: Metrics,
    beats: Beats,
    queue: Queue,
    index: Arc<Index>,
    context: Arc<Context>,
    term: Term,
}

impl Operator<'_> {
    /// Holds the lease until shutdown, then gives it back. Ends with an error when somebody else took it.
    async fn lead(
        &self,
        mut leading: Leading,
        default_namespace: &str,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), OperatorError> {
        if !self.settings.leader_election {
            leading.grant_for_ever();
            shutdown.await;
            return Ok(());
        }
        let namespace = match self.settings.lease_namespace.as_deref() {
            Some(namespace) => namespace,
            None if default_namespace.is_empty() => return Err(OperatorError::LeaseNamespace),
            None => default_namespace,
        };
        let lease = LeaderSettings::new(
            namespace,
            &self.settings.lease_name,
            self.settings.identity(),
        );
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let client = self.client.clone();
            match leader::run(client, lease.clone(), &mut leading, &mut shutdown).await {
                // A slow server, and nobody else has taken the lease: what the index knows is as good as before.
                Err(LeaderError::Lapsed { lease }) => {
                    tracing::warn!(lease, "lease lapsed; writes stopped until it is held again");
                }
                outcome => return outcome.map_err(OperatorError::Lease),
            }
        }
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            metrics: self.metrics.clone(),
            beats: self.beats.clone(),
            index: self.index.clone(),
            queue: self.queue.clone(),
        }
    }

    /// Reconciles what is queued, once the lease is held and the first lists have ended.
    async fn reconcile(&self) {
        let ready = async {
            self.term.elected().await;
            self.index.wait_until_settled().await;
        };
        let queue = self.queue.clone();
        let metrics = self.metrics.clone();
        let requests = stream::once(ready).flat_map(move |()| {
            stream::unfold((queue.clone(), metrics.clone()), |(queue, metrics)| async {
                let key = queue.next().await;
                metrics.set_queue_depth(queue.len());
                Some((Ok::<_, Infallible>(key.reference()), (queue, metrics)))
            })
        });
        let config = controller::Config::default().concurrency(self.settings.concurrency);
        applier(
            pass,
            |_, never: &Infallible, _| match *never {},
            self.context.clone(),
            self.context.portals.clone(),
            Box::pin(requests),
            config,
        )
        .for_each(|outcome| async move {
            // A portal that was deleted while it waited; nothing else can fail here.
            if let Err(error) = outcome {
                tracing::debug!(%error, "not reconciled");
            }
        })
        .await;
    }
}

/// One pass, bounded in time, and harmless to the others even if it panics.
fn pass(
    portal: Arc<Guarded>,
    context: Arc<Context>,
) -> futures::future::BoxFuture<'static, Result<Action, Infallible>> {
    async move {
        let key = PortalKey::of(portal.meta());
        let began = Instant::now();
        let bounded = tokio::time::timeout(PASS, reconcile(portal, context.clone()));
        let (result, action) = match AssertUnwindSafe(bounded).catch_unwind().await {
            Ok(Ok((result, action))) => (result, action),
            Ok(Err(_)) => {
                tracing::error!(
                    namespace = key.namespace,
                    portal = key.name,
                    "pass took too long"
                );
                (ReconcileResult::Error, Action::requeue(BROKEN))
            }
            Err(_) => {
                tracing::error!(
                    namespace = key.namespace,
                    portal = key.name,
                    "pass panicked; please report it with the log line above"
                );
                (ReconcileResult::Error, Action::requeue(BROKEN))
            }
        };
        context.metrics.reconciled(result, began.elapsed());
        Ok(action)
    }
    .boxed()
}

/// What `/healthz`, `/readyz` and `/metrics` show.
struct Endpoints {
    metrics: Metrics,
    beats: Beats,
    index: Arc<Index>,
    queue: Queue,
}

impl Probe for Endpoints {
    fn healthy(&self) -> Result<(), String> {
        let silent = self.beats.silent();
        if silent.is_empty() {
            return Ok(());
        }
        Err(format!(
            "watches without an answer for 90 s: {}",
            silent.join(", ")
        ))
    }

    fn ready(&self) -> Result<(), String> {
        if self.index.settled() {
            Ok(())
        } else {
            Err("the first lists have not ended".into())
        }
    }

    fn metrics(&self) -> String {
        self.metrics.set_queue_depth(self.queue.len());
        self.metrics.encode()
    }
}

//! An operator in this process, with the rights that the chart grants, whose requests are recorded.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use clap::Parser;
use kube::client::ClientBuilder;
use portal_operator::{
    runtime::{
        operator::{self, GenericService, OperatorError},
        sampler::Ask,
    },
    settings::{Command, CommandLine},
};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    bed::{Bed, SYSTEM},
    record::{Record, Requests},
};

/// Wraps the innermost part of an operator's client.
pub type Wrap =
    Arc<dyn Fn(ClientBuilder<GenericService>) -> ClientBuilder<GenericService> + Send + Sync>;

/// What the pods of databases answer, by their address.
pub type Pods = Arc<dyn Fn(&str) -> Result<Value, String> + Send + Sync>;

/// How an operator runs.
#[derive(Clone, Default)]
pub struct OperatorOptions {
    /// What the pods of databases answer; `None`: that all is archived.
    pub pods: Option<Pods>,
    /// Namespaces to work in; empty: all of them.
    pub namespaces: Vec<String>,
    /// Name of the Lease; without one there is no election. The chart's Role knows `portal-operator` only.
    pub lease_name: Option<String>,
    /// Put around the client, inside the recorder.
    pub connect: Option<Wrap>,
    /// Whether labelled Secrets and ConfigMaps roll the pods. The chart grants no reading of them by default.
    pub reload: bool,
    /// More command-line arguments of `portal-operator run`.
    pub arguments: Vec<String>,
}

/// A running operator. Dropping it is a crash.
pub struct Operator {
    bed: Life,
    options: OperatorOptions,
    requests: Requests,
    running: Option<Running>,
}

/// What a new life of the operator needs.
#[derive(Clone)]
struct Life {
    config: kube::Config,
}

struct Running {
    stop: Option<oneshot::Sender<()>>,
    crash: Option<oneshot::Sender<()>>,
    thread: JoinHandle<Option<Result<(), OperatorError>>>,
}

impl Operator {
    /// Starts an operator.
    pub async fn start(bed: &Bed, options: OperatorOptions) -> Self {
        let mut this = Self {
            bed: Life {
                config: bed.operator_config().await,
            },
            options,
            requests: Requests::default(),
            running: None,
        };
        this.start_again();
        this
    }

    /// Starts an operator for one namespace.
    pub async fn of(bed: &Bed, namespace: &str) -> Self {
        let options = OperatorOptions {
            namespaces: vec![namespace.to_owned()],
            ..OperatorOptions::default()
        };
        Self::start(bed, options).await
    }

    /// A new life after [`Self::stop`] or [`Self::crash`], with an empty memory; the record of requests goes on.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the operator already runs");
        trace();
        let mut arguments: Vec<String> = ["portal-operator", "run"].map(str::to_owned).into();
        arguments.push("--listen-address=127.0.0.1:0".into());
        arguments.push(format!(
            "--watch-namespaces={}",
            self.options.namespaces.join(",")
        ));
        arguments.push(format!("--lease-namespace={SYSTEM}"));
        match &self.options.lease_name {
            Some(name) => arguments.push(format!("--lease-name={name}")),
            None => arguments.push("--leader-election=false".into()),
        }
        arguments.push(format!("--identity=test-{}", super::bed::unique()));
        arguments.push(format!("--reload={}", self.options.reload));
        arguments.extend(self.options.arguments.iter().cloned());
        let Command::Run(settings) = CommandLine::parse_from(arguments).command else {
            unreachable!("the command is run");
        };
        let connect = operator::connect(self.bed.config.clone());
        let wrap = self.options.connect.clone();
        let requests = self.requests.clone();
        let ask = self.options.pods.clone();
        let ask: Box<Ask> = Box::new(move |address| {
            let answer = ask
                .as_ref()
                .map_or_else(|| Ok(super::database::archived()), |ask| ask(&address));
            Box::pin(std::future::ready(answer))
        });
        let connect = move |purpose: operator::Purpose| {
            let mut builder = connect(purpose)?;
            if let Some(wrap) = &wrap {
                builder = wrap(builder);
            }
            Ok(requests.around(builder))
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (crash, crashed) = oneshot::channel::<()>();
        // A runtime of its own: a crash ends every task of it, as a killed process would.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let outcome = runtime.block_on(async {
                let shutdown = async {
                    let _ = stopped.await;
                };
                tokio::select! {
                    biased;
                    _ = crashed => None,
                    outcome = operator::run(&connect, ask, SYSTEM, &settings, shutdown) => Some(outcome),
                }
            });
            runtime.shutdown_background();
            outcome
        });
        self.running = Some(Running {
            stop: Some(stop),
            crash: Some(crash),
            thread,
        });
    }

    /// Ends it as SIGTERM does, and waits for the end.
    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.stop.take().map(|stop| stop.send(()));
            let Running { thread, crash, .. } = running;
            let ended = tokio::task::spawn_blocking(move || thread.join().unwrap());
            let outcome = tokio::time::timeout(Duration::from_secs(15), ended)
                .await
                .expect("the operator did not end within 15 s of SIGTERM")
                .unwrap();
            drop(crash);
            if let Some(Err(error)) = outcome {
                panic!("the operator ended with an error: {error:?}");
            }
        }
    }

    /// Ends it as SIGKILL does: every task at once, wherever it is.
    pub async fn crash(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.crash.take().map(|crash| crash.send(()));
            let thread = running.thread;
            tokio::task::spawn_blocking(move || thread.join().unwrap())
                .await
                .unwrap();
        }
    }

    /// Whether it still runs: it ends by itself when it loses its lease.
    pub fn runs(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| !running.thread.is_finished())
    }

    /// Every request so far, without watches, leases, events and discovery.
    pub fn requests(&self) -> Vec<Record> {
        let mut records = self.all_requests();
        records.retain(|record| {
            record.verb != "watch" && !record.is_aside() && !record.kind.is_empty()
        });
        records
    }

    /// Every request so far.
    pub fn all_requests(&self) -> Vec<Record> {
        self.requests.all()
    }

    /// What it wrote, without leases and events.
    pub fn writes(&self) -> Vec<Record> {
        let mut records = self.requests();
        records.retain(Record::is_write);
        records
    }

    /// What it wrote of objects that portals consist of.
    pub fn child_writes(&self) -> Vec<Record> {
        let mut records = self.requests();
        records.retain(Record::is_child_write);
        records
    }

    /// What it read, without watches.
    pub fn reads(&self) -> Vec<Record> {
        let mut records = self.requests();
        records.retain(|record| !record.is_write());
        records
    }

    /// The record itself, for waiting.
    pub fn record(&self) -> &Requests {
        &self.requests
    }

    /// Waits until there was no write for two seconds.
    pub async fn settle(&self) {
        const QUIET: Duration = Duration::from_secs(2);
        let begin = std::time::Instant::now();
        loop {
            // Before the first write the wait counts from here.
            let quiet = self
                .requests
                .quiet_for()
                .map_or_else(|| begin.elapsed(), |quiet| quiet.min(begin.elapsed()));
            if quiet >= QUIET {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_mins(3),
                "the operator does not come to rest; its last writes: {:#?}",
                self.writes().iter().rev().take(5).collect::<Vec<_>>()
            );
            tokio::time::sleep(QUIET.checked_sub(quiet).unwrap_or_default()).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.crash.take().map(|crash| crash.send(()));
            let _ = running.thread.join();
        }
    }
}

/// Shows the operators' logs where `PORTAL_TEST_LOG` asks for them, such as `portal_operator=debug`.
fn trace() {
    if let Ok(filter) = std::env::var("PORTAL_TEST_LOG") {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

//! `portal-operator run`: runs the operator until it is told to end.

use kube::Config;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    runtime::{
        operator::{self, OperatorError},
        pod_status::{PodStatus, PodStatusError},
        sampler,
        telemetry::{self, TelemetryError},
    },
    settings::RunSettings,
};

/// Why the process ends with an error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The log.
    #[error("failed to set up the log")]
    Telemetry(#[source] TelemetryError),
    /// The cluster's configuration.
    #[error("found no cluster: neither a kubeconfig nor a ServiceAccount can be used")]
    Config(#[source] kube::config::InferConfigError),
    /// Signals.
    #[error("failed to listen for signals")]
    Signal(#[source] std::io::Error),
    /// The client for pods of databases.
    #[error("failed to set up TLS")]
    Tls(#[source] PodStatusError),
    /// The operator.
    #[error("the operator ended")]
    Operator(#[source] OperatorError),
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// [`RunError`].
pub async fn run(settings: &RunSettings) -> Result<(), RunError> {
    telemetry::init(settings.log_format.into(), &settings.log_filter)
        .map_err(RunError::Telemetry)?;
    let config = Config::infer().await.map_err(RunError::Config)?;
    let namespace = config.default_namespace.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signal)?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ask = sampler::ask(PodStatus::new().map_err(RunError::Tls)?);
    operator::run(
        &*operator::connect(config),
        ask,
        &namespace,
        settings,
        shutdown,
    )
    .await
    .map_err(RunError::Operator)
}

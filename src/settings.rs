//! The only reader of flags and environment.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::runtime::telemetry::LogFormat;

/// Runs developer portals to their availability, scaling, network and security policies, and shows which of them hold.
#[derive(Debug, Parser)]
#[command(name = "portal-operator", version, about, max_term_width = 100)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator
    Run(RunSettings),
    /// Print the CustomResourceDefinitions as YAML
    Crd,
    /// Print every object that the operator would apply for a portal, without a cluster
    Render(RenderSettings),
    /// Compare what the operator would apply with the cluster: exits 0 without differences, 1 with, 2 on errors
    Diff(DiffSettings),
}

/// Settings of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunSettings {
    /// Namespaces to work in, separated by commas; empty: all of them
    #[arg(
        long,
        env = "PORTAL_OPERATOR_WATCH_NAMESPACES",
        value_delimiter = ',',
        default_value = "",
        hide_default_value = true
    )]
    pub watch_namespaces: Vec<String>,

    /// Where /metrics, /healthz and /readyz are served
    #[arg(
        long,
        env = "PORTAL_OPERATOR_LISTEN_ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen_address: SocketAddr,

    /// Form of the log
    #[arg(
        long,
        env = "PORTAL_OPERATOR_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormatName::Json
    )]
    pub log_format: LogFormatName,

    /// What is logged, such as `info` or `portal_operator=debug`
    #[arg(long, env = "PORTAL_OPERATOR_LOG_FILTER", default_value = "info")]
    pub log_filter: String,

    /// Whether to hold a Lease before writing, so that several replicas can run
    #[arg(
        long,
        env = "PORTAL_OPERATOR_LEADER_ELECTION",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub leader_election: bool,

    /// Namespace of the Lease; default: that of the pod
    #[arg(long, env = "PORTAL_OPERATOR_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,

    /// Name of the Lease
    #[arg(
        long,
        env = "PORTAL_OPERATOR_LEASE_NAME",
        default_value = "portal-operator"
    )]
    pub lease_name: String,

    /// Who we are in the Lease and in events; default: the pod's name
    #[arg(long, env = "PORTAL_OPERATOR_IDENTITY")]
    pub identity: Option<String>,

    /// Portals reconciled at the same time
    #[arg(long, env = "PORTAL_OPERATOR_CONCURRENCY", default_value_t = 16)]
    pub concurrency: u16,

    /// Whether to read nodes, for zones and feasibility; only without --watch-namespaces
    #[arg(
        long,
        env = "PORTAL_OPERATOR_NODES",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub nodes: bool,

    /// Namespace in which the operator of CloudNativePG runs, for network rules
    #[arg(
        long,
        env = "PORTAL_OPERATOR_CLOUDNATIVE_PG_NAMESPACE",
        default_value = "cnpg-system"
    )]
    pub cloudnative_pg_namespace: String,

    /// Whether to roll pods when a Secret or ConfigMap labelled portalplatform.dev/reload=true changes
    #[arg(
        long,
        env = "PORTAL_OPERATOR_RELOAD",
        default_value_t = false,
        action = clap::ArgAction::Set
    )]
    pub reload: bool,

    /// Name of the pod, from the downward API
    #[arg(long, env = "POD_NAME", hide = true)]
    pub pod_name: Option<String>,
}

impl RunSettings {
    /// The namespaces to watch; empty: all of them.
    #[must_use]
    pub fn namespaces(&self) -> BTreeSet<String> {
        self.watch_namespaces
            .iter()
            .map(|namespace| namespace.trim().to_owned())
            .filter(|namespace| !namespace.is_empty())
            .collect()
    }

    /// Who we are.
    #[must_use]
    pub fn identity(&self) -> String {
        self.identity
            .clone()
            .or_else(|| self.pod_name.clone())
            .unwrap_or_else(|| format!("portal-operator-{}", std::process::id()))
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatName {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

impl From<LogFormatName> for LogFormat {
    fn from(name: LogFormatName) -> Self {
        match name {
            LogFormatName::Json => Self::Json,
            LogFormatName::Text => Self::Text,
        }
    }
}

/// Settings of `render`.
#[derive(Debug, Clone, Args)]
pub struct RenderSettings {
    /// File with PortalPlatform objects; `-`: standard input
    #[arg(short, long)]
    pub file: PathBuf,

    /// Optional APIs to assume, separated by commas; `none` for none
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "gateway,cert-manager,cloudnative-pg,barman-cloud"
    )]
    pub capabilities: Vec<CapabilityName>,

    /// Namespace of portals that name none
    #[arg(short, long, default_value = "default")]
    pub namespace: String,

    /// Show the objects of a first start instead of those after it
    #[arg(long)]
    pub first_start: bool,
}

/// Settings of `diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffSettings {
    /// File with PortalPlatform objects; `-`: standard input
    #[arg(short, long)]
    pub file: PathBuf,

    /// Namespace of portals that name none; default: that of the kubeconfig
    #[arg(short, long)]
    pub namespace: Option<String>,
}

/// An optional API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum CapabilityName {
    /// Gateway API
    Gateway,
    /// Gateway API of the experimental channel, with session persistence
    GatewayExperimental,
    /// cert-manager
    CertManager,
    /// `CloudNativePG`
    CloudnativePg,
    /// The Barman Cloud plugin of `CloudNativePG`
    BarmanCloud,
    /// None
    None,
}

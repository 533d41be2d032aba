//! The policies, each with a verdict and the evidence for it. A policy is one file and one line in [`POLICIES`].
//!
//! Nothing is `True` without a reading; where the source of a reading is missing, the verdict is `Unknown` and the message says
//! how to provide it.

mod archive_retained;
mod autoscaling;
mod backup_fresh;
mod backup_retained;
mod connection_budget;
mod disruption_protected;
mod image_pinned;
mod network_restricted;
mod pod_security;
mod recovery_point;
mod replicated;
mod transport_secure;
mod zone_redundant;

use k8s_openapi::jiff::Timestamp;
pub use pod_security::ENFORCE_LABEL;

use super::time_text;
use crate::{
    api::{
        spec::PortalPlatformSpec,
        status::{DatabaseStatus, Enforcement, Evidence, PolicyName, PolicyStatus, Verdict},
    },
    observe::World,
    plan::{Component, Plan, profile},
};

/// How a policy is judged.
type Judge = fn(&Subject) -> Finding;

/// Every policy, in the order of status.
const POLICIES: [(PolicyName, Judge); 13] = [
    (PolicyName::Replicated, replicated::judge),
    (PolicyName::ZoneRedundant, zone_redundant::judge),
    (PolicyName::DisruptionProtected, disruption_protected::judge),
    (PolicyName::Autoscaling, autoscaling::judge),
    (PolicyName::NetworkRestricted, network_restricted::judge),
    (PolicyName::TransportSecure, transport_secure::judge),
    (PolicyName::PodSecurity, pod_security::judge),
    (PolicyName::RecoveryPoint, recovery_point::judge),
    (PolicyName::BackupFresh, backup_fresh::judge),
    (PolicyName::BackupRetained, backup_retained::judge),
    (PolicyName::ArchiveRetained, archive_retained::judge),
    (PolicyName::ImagePinned, image_pinned::judge),
    (PolicyName::ConnectionBudget, connection_budget::judge),
];

/// What is judged.
pub(super) struct Subject<'a> {
    pub plan: &'a Plan,
    pub world: &'a World,
    /// The database as status shows it.
    pub database: Option<&'a DatabaseStatus>,
    pub now: Timestamp,
}

impl Subject<'_> {
    /// Whether there was a base backup of this life of the database, though it may be gone by now.
    fn had_backup(&self) -> bool {
        self.database
            .is_some_and(|database| database.last_backup.is_some())
    }

    fn critical(&self) -> impl Iterator<Item = &Component> {
        self.plan
            .components
            .iter()
            .filter(|component| component.critical)
    }
}

/// A verdict.
struct Finding {
    status: Verdict,
    reason: &'static str,
    objective: String,
    observed: Option<String>,
    message: Option<String>,
    source: String,
    /// When the verdict can change by the passing of time.
    recheck: Option<Timestamp>,
    /// Since when what is observed lasts, for policies that measure time.
    since: Option<Timestamp>,
    /// `true`: the source has not been read yet since the start, and what was found before still counts.
    pending: bool,
}

impl Finding {
    fn new(
        status: Verdict,
        reason: &'static str,
        objective: impl Into<String>,
        source: impl Into<String>,
    ) -> Self {
        Self {
            status,
            reason,
            objective: objective.into(),
            observed: None,
            message: None,
            source: source.into(),
            recheck: None,
            since: None,
            pending: false,
        }
    }

    fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }

    fn observed(mut self, observed: impl Into<String>) -> Self {
        self.observed = Some(observed.into());
        self
    }

    fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// What became of the policies.
pub(super) struct Judged {
    pub policies: Vec<PolicyStatus>,
    /// When to judge again although nothing changes.
    pub recheck: Option<Timestamp>,
    /// Since when what policies observe lasts, for those that measure time.
    pub since: Vec<(PolicyName, Timestamp)>,
}

/// Judges every policy.
pub(super) fn judge(
    subject: &Subject,
    spec: &PortalPlatformSpec,
    previous: &[PolicyStatus],
) -> Judged {
    let mut recheck: Vec<Timestamp> = Vec::new();
    let mut since = Vec::new();
    let policies = POLICIES
        .iter()
        .map(|(name, judge)| {
            let finding = judge(subject);
            recheck.extend(finding.recheck);
            since.extend(finding.since.map(|moment| (*name, moment)));
            let (enforcement, until) = enforcement(*name, subject, spec);
            recheck.extend(until);
            status(*name, enforcement, finding, previous, subject.now)
        })
        .collect();
    Judged {
        policies,
        recheck: recheck.into_iter().min(),
        since,
    }
}

fn enforcement(
    name: PolicyName,
    subject: &Subject,
    spec: &PortalPlatformSpec,
) -> (Enforcement, Option<Timestamp>) {
    let waived_until = spec
        .policies
        .iter()
        .find(|exception| exception.name == name)
        .and_then(|exception| exception.waiver.until.parse::<Timestamp>().ok())
        .filter(|until| *until > subject.now);
    if waived_until.is_some() {
        return (Enforcement::Waived, waived_until);
    }
    let required = profile::defaults(subject.plan.profile)
        .required
        .contains(&name);
    (
        if required {
            Enforcement::Required
        } else {
            Enforcement::Advisory
        },
        None,
    )
}

fn status(
    name: PolicyName,
    enforcement: Enforcement,
    finding: Finding,
    previous: &[PolicyStatus],
    now: Timestamp,
) -> PolicyStatus {
    let before = previous.iter().find(|policy| policy.name == name);
    if let (true, Some(before)) = (finding.pending, before) {
        return PolicyStatus {
            enforcement,
            ..before.clone()
        };
    }
    let since = before
        .filter(|policy| policy.status == finding.status && policy.reason == finding.reason)
        .and_then(|policy| policy.evidence.as_ref())
        .map_or_else(|| time_text(now), |evidence| evidence.time.clone());
    PolicyStatus {
        name,
        enforcement,
        status: finding.status,
        objective: finding.objective,
        observed: finding.observed,
        reason: finding.reason.to_owned(),
        message: finding.message,
        evidence: Some(Evidence {
            source: finding.source,
            time: since,
        }),
    }
}

//! The policies, each with a verdict and the evidence for it. A policy is one file and one line in [`POLICIES`].
//!
//! Nothing is `True` without a reading; where the source of a reading is missing, the verdict is `Unknown` and the message says
//! how to provide it.

mod autoscaling;
mod connection_budget;
mod disruption_protected;
mod image_pinned;
mod network_restricted;
mod pod_security;
mod replicated;
mod transport_secure;
mod zone_redundant;

use k8s_openapi::jiff::Timestamp;
pub use pod_security::ENFORCE_LABEL;

use super::time_text;
use crate::{
    api::{
        spec::PortalPlatformSpec,
        status::{Enforcement, Evidence, PolicyName, PolicyStatus, Verdict},
    },
    observe::World,
    plan::{Component, Plan, profile},
};

/// How a policy is judged.
type Judge = fn(&Subject) -> Finding;

/// Every policy, in the order of status.
const POLICIES: [(PolicyName, Judge); 9] = [
    (PolicyName::Replicated, replicated::judge),
    (PolicyName::ZoneRedundant, zone_redundant::judge),
    (PolicyName::DisruptionProtected, disruption_protected::judge),
    (PolicyName::Autoscaling, autoscaling::judge),
    (PolicyName::NetworkRestricted, network_restricted::judge),
    (PolicyName::TransportSecure, transport_secure::judge),
    (PolicyName::PodSecurity, pod_security::judge),
    (PolicyName::ImagePinned, image_pinned::judge),
    (PolicyName::ConnectionBudget, connection_budget::judge),
];

/// What is judged.
pub(super) struct Subject<'a> {
    pub plan: &'a Plan,
    pub world: &'a World,
    pub now: Timestamp,
}

impl Subject<'_> {
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
        }
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

/// Judges every policy, and says when to judge again.
pub(super) fn judge(
    subject: &Subject,
    spec: &PortalPlatformSpec,
    previous: &[PolicyStatus],
) -> (Vec<PolicyStatus>, Option<Timestamp>) {
    let mut recheck: Vec<Timestamp> = Vec::new();
    let policies = POLICIES
        .iter()
        .map(|(name, judge)| {
            let finding = judge(subject);
            recheck.extend(finding.recheck);
            let (enforcement, until) = enforcement(*name, subject, spec);
            recheck.extend(until);
            status(*name, enforcement, finding, previous, subject.now)
        })
        .collect();
    (policies, recheck.into_iter().min())
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
    let since = previous
        .iter()
        .find(|policy| {
            policy.name == name
                && policy.status == finding.status
                && policy.reason == finding.reason
        })
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

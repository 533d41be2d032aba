//! `PodSecurity`: the pods keep to the level `restricted`, and the namespace enforces the level that the profile expects.
//!
//! That the pods keep to it is a property of how they are made, tested against the real admission of Kubernetes.

use super::{Finding, Subject};
use crate::api::{spec::Profile, status::Verdict};

/// Namespace label with the level that is enforced.
pub const ENFORCE_LABEL: &str = "pod-security.kubernetes.io/enforce";

pub(super) fn judge(subject: &Subject) -> Finding {
    let expected = match subject.plan.profile {
        Profile::Development => "baseline",
        Profile::Staging | Profile::Production | Profile::Ephemeral => "restricted",
    };
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            format!("pods are restricted, the namespace enforces {expected}"),
            format!("rendered pods, namespace label {ENFORCE_LABEL}"),
        )
    };
    let namespace = &subject.plan.identity.namespace;
    match subject.world.pod_security.as_deref() {
        None => finding(Verdict::Unknown, "NoNamespaceAccess").message(
            "the operator may not read namespaces; install it cluster-wide to have this judged, or waive the policy",
        ),
        Some(level) if level == "restricted" || level == expected => {
            finding(Verdict::True, "Enforced").observed(format!("the namespace enforces {level}"))
        }
        Some(level) => finding(Verdict::False, "NotEnforced")
            .observed(if level.is_empty() {
                "the namespace enforces nothing".to_owned()
            } else {
                format!("the namespace enforces {level}")
            })
            .message(format!(
                "other pods in the namespace may be less restricted; run: kubectl label namespace {namespace} {ENFORCE_LABEL}={expected}"
            )),
    }
}

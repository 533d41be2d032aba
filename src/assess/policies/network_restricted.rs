//! `NetworkRestricted`: a NetworkPolicy that denies what it does not name selects every pod of the portal.
//!
//! Whether the cluster's network plugin enforces NetworkPolicies cannot be read from the API.

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    plan::{
        backup::ARCHIVE_COMPONENT,
        database::{COMPONENT, POOLER_COMPONENT},
    },
};

pub(super) fn judge(subject: &Subject) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            "a NetworkPolicy selects every pod",
            "NetworkPolicy objects, pod labels",
        )
    };
    let mut covered = 0;
    for component in &subject.plan.components {
        let name = &component.object_name;
        if component.isolation.is_none() {
            return finding(Verdict::False, "PolicyOpen").message(
                "network.policy is Open, so pods may talk to everything; set network.policy: Restricted",
            );
        }
        match subject.world.child("NetworkPolicy", name) {
            Some(observation) if !observation.deleting => {
                covered += subject.world.pods_of(&component.name).count();
            }
            _ => {
                return finding(Verdict::False, "PolicyMissing")
                    .message(format!("NetworkPolicy {name} is not there"));
            }
        }
    }
    if let Some(managed) = subject.plan.database.managed() {
        let pooler = managed
            .pooler
            .as_ref()
            .map(|pooler| (&pooler.name, POOLER_COMPONENT));
        let archive = subject
            .plan
            .backup
            .as_ref()
            .and_then(|backup| backup.archive.as_ref())
            .map(|archive| (&archive.name, ARCHIVE_COMPONENT));
        let parts = [(&managed.name, COMPONENT)].into_iter();
        for (name, component) in parts.chain(pooler).chain(archive) {
            match subject.world.child("NetworkPolicy", name) {
                Some(observation) if !observation.deleting => {
                    covered += subject.world.pods_of(component).count();
                }
                _ => {
                    return finding(Verdict::False, "PolicyMissing")
                        .message(format!("NetworkPolicy {name} is not there"));
                }
            }
        }
    }
    // Pods of a component that the spec no longer has are selected by no policy any more.
    let stray = subject.world.pods.iter().find(|pod| {
        !pod.deleting
            && ![COMPONENT, POOLER_COMPONENT, ARCHIVE_COMPONENT].contains(&&*pod.component)
            && !subject
                .plan
                .components
                .iter()
                .any(|component| *component.name == *pod.component)
    });
    if let Some(pod) = stray {
        return finding(Verdict::False, "PodNotSelected").message(format!(
            "Pod {} of the former component {} still runs; it is on its way out",
            pod.name, pod.component
        ));
    }
    finding(Verdict::True, "AllSelected").observed(format!("{covered} pods"))
}

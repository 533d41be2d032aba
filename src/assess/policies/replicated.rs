//! `Replicated`: every critical component has at least its least number of pods available, and the managed database all its instances.

use super::{Finding, Subject};
use crate::api::status::Verdict;

pub(super) fn judge(subject: &Subject) -> Finding {
    let mut observed = Vec::new();
    let mut missing = None;
    let mut short = None;
    for component in subject.critical() {
        let minimum = component.replicas.minimum();
        match subject.world.workload(&component.object_name) {
            None => missing = Some(component.object_name.clone()),
            Some((_, workload)) => {
                observed.push(format!(
                    "{} {}/{minimum}",
                    component.name, workload.available
                ));
                if workload.available < minimum {
                    short = Some(format!(
                        "Deployment {}: {} pods available, {minimum} are wanted; the condition Ready says what keeps them",
                        component.object_name, workload.available
                    ));
                }
            }
        }
    }
    let managed = subject.plan.database.managed();
    if let Some(managed) = managed {
        let ready = subject
            .world
            .cluster(&managed.name)
            .map_or(0, |cluster| cluster.ready);
        observed.push(format!("database {ready}/{}", managed.instances));
        if ready < managed.instances && short.is_none() {
            short = Some(format!(
                "Cluster {}: {ready} of {} instances ready; the condition DatabaseReady says what keeps them",
                managed.name, managed.instances
            ));
        }
    }
    let source = if managed.is_some() {
        "Deployment.status.availableReplicas, Cluster.status.readyInstances"
    } else {
        "Deployment.status.availableReplicas"
    };
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            "available pods ≥ minimum, for every critical component",
            source,
        )
        .observed(observed.join(", "))
    };
    match (missing, short) {
        (Some(name), _) => finding(Verdict::False, "DeploymentMissing")
            .message(format!("Deployment {name} is not there")),
        (None, Some(message)) => finding(Verdict::False, "BelowMinimum").message(message),
        (None, None) if observed.is_empty() => Finding::new(
            Verdict::True,
            "NothingCritical",
            "available pods ≥ minimum, for every critical component",
            "spec.components[].critical",
        ),
        (None, None) => finding(Verdict::True, "MinimumAvailable"),
    }
}

//! `Autoscaling`: every critical component is autoscaled, its autoscaler gets metrics, and it has not been at its maximum
//! for more than half an hour.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::problems::ceiling,
    children::live::{Health, LiveCondition},
    plan::Replicas,
};

/// How long an autoscaler may be at its maximum.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

pub(super) fn judge(subject: &Subject) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            "critical components scale by use, and are not at their maximum for over 30 min",
            "HorizontalPodAutoscaler.status.conditions",
        )
    };
    let mut observed = Vec::new();
    let mut warning = None;
    let mut recheck = None;
    for component in &subject.plan.components {
        let name = &component.object_name;
        let Replicas::Autoscaled(autoscaling) = &component.replicas else {
            if component.critical {
                return finding(Verdict::False, "NotAutoscaled").message(format!(
                    "Deployment {name} has a fixed number of pods; set scaling.maxReplicas above minReplicas"
                ));
            }
            continue;
        };
        if component.first_start {
            return finding(Verdict::Unknown, "FirstStart").message(format!(
                "HorizontalPodAutoscaler {name} is made when the first start is over"
            ));
        }
        let Some(Health::Autoscaler {
            current,
            conditions,
            ..
        }) = subject
            .world
            .child("HorizontalPodAutoscaler", name)
            .map(|observation| &observation.health)
        else {
            return finding(Verdict::False, "AutoscalerMissing")
                .message(format!("HorizontalPodAutoscaler {name} is not there"));
        };
        observed.push(format!(
            "{} {current} of {}-{}",
            component.name, autoscaling.min, autoscaling.max
        ));
        match LiveCondition::find(conditions, "ScalingActive") {
            None => {
                return finding(Verdict::Unknown, "NotObserved").message(format!(
                    "HorizontalPodAutoscaler {name} has not been evaluated yet"
                ));
            }
            Some(active) if active.status != "True" => {
                return finding(Verdict::False, "NoMetrics").message(format!(
                    "HorizontalPodAutoscaler {name} cannot scale: {}: {}; check that a metrics server runs",
                    active.reason, active.message
                ));
            }
            Some(_) => {}
        }
        if let Some(since) = at_maximum(conditions) {
            if since + PATIENCE <= subject.now {
                return finding(Verdict::False, "AtMaximum")
                    .observed(observed.join(", "))
                    .message(format!(
                        "HorizontalPodAutoscaler {name} has been at {} pods since {since} and would add more; raise scaling.maxReplicas or size",
                        autoscaling.max
                    ));
            }
            recheck = recheck.into_iter().chain([since + PATIENCE]).min();
        }
        if let Some((usable, max)) = ceiling(component, subject.world) {
            warning = Some(format!(
                "Deployment {name} may grow to {max} pods, one on each node, and {usable} nodes can take them; add nodes, lower maxReplicas, or set placement.spread.nodes: Preferred"
            ));
        }
    }
    let mut held = finding(Verdict::True, "ScalingActive").observed(observed.join(", "));
    held.message = warning;
    held.recheck = recheck;
    held
}

/// Since when an autoscaler has wanted more than its maximum.
fn at_maximum(conditions: &[LiveCondition]) -> Option<Timestamp> {
    let limited = LiveCondition::find(conditions, "ScalingLimited")?;
    if limited.status != "True" || limited.reason != "TooManyReplicas" {
        return None;
    }
    limited.last_transition_time.as_ref()?.parse().ok()
}

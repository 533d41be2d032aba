//! Everything that keeps a portal from being as its spec says, each as one sentence: the object, the cause, the next step.

use super::pods::{Words, of_pod};
use crate::{
    api::spec::{SpreadMode, TaintEffect, TolerationOperator},
    children::live::LiveCondition,
    error::Disposition,
    observe::{ApiState, Node, World},
    outcome::{Done, Outcome},
    plan::{Component, Plan, Replicas, Route, TlsSource},
};

/// How a problem ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody must act.
    Stalled,
    /// Something is broken and may or may not heal by itself.
    Broken,
    /// Work is under way.
    Progressing,
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// How it ends.
    pub severity: Severity,
    /// The cause in one word.
    pub reason: &'static str,
    /// Object, cause, next step.
    pub message: String,
    /// Whether it is about how the portal is reached.
    pub exposure: bool,
    /// Whether it is about the database.
    pub database: bool,
}

/// Every problem of a portal, the most pressing first.
#[must_use]
pub fn problems(plan: &Plan, world: &World, outcomes: &[Outcome]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = outcomes.iter().filter_map(of_outcome).collect();
    for component in &plan.components {
        let held = outcomes.iter().any(|outcome| {
            outcome.result == Done::Held
                && outcome.key == ("Deployment", component.object_name.clone())
        });
        // What holds a Deployment is told of the database.
        if !held || world.workload(&component.object_name).is_some() {
            problems.extend(of_component(component, world, plan.suspended));
        }
    }
    problems.extend(super::database::problems(plan, world, outcomes));
    problems.extend(super::ready::exposure_problem(plan, world, outcomes));
    problems.sort();
    problems
}

pub(super) fn problem(severity: Severity, reason: &'static str, message: String) -> Problem {
    Problem {
        severity,
        reason,
        message,
        exposure: false,
        database: false,
    }
}

fn of_outcome(outcome: &Outcome) -> Option<Problem> {
    let (kind, name) = &outcome.key;
    let object = format!("{kind} {name}");
    let found = match &outcome.result {
        Done::Kept
        | Done::Written
        | Done::Deleted
        | Done::Held
        | Done::Blocked(ApiState::Synced) => {
            return None;
        }
        Done::Refused { manager } => problem(
            Severity::Stalled,
            "ObjectConflict",
            format!(
                "{object} exists and belongs to somebody else (manager: {manager}); it was not touched. Delete or rename it, or rename the portal"
            ),
        ),
        Done::Waiting { reason } => problem(
            Severity::Progressing,
            "WaitingForDeletion",
            format!("{object}: {reason}"),
        ),
        Done::Blocked(ApiState::Absent) => problem(
            Severity::Stalled,
            "IntegrationMissing",
            format!("{object} cannot be made: {}", how_to_get(kind)),
        ),
        Done::Blocked(ApiState::Blocked(cause)) => problem(
            Severity::Stalled,
            "NoAccess",
            format!(
                "{object} cannot be managed, since {kind} objects cannot be read: {cause}; grant the operator the rules of its chart"
            ),
        ),
        Done::Failed(failure) => {
            let (severity, advice) = match (failure.disposition, failure.reason) {
                (Disposition::Retry { .. }, _) => (Severity::Progressing, "it will be tried again"),
                (_, "Forbidden") => (
                    Severity::Stalled,
                    "grant the operator the rules of its chart, or look at the admission policy named",
                ),
                (_, "QuotaExceeded") => {
                    (Severity::Stalled, "raise the ResourceQuota or ask for less")
                }
                _ => (Severity::Stalled, "correct the field or the policy named"),
            };
            problem(
                severity,
                failure.reason,
                format!("{object} was not written: {}; {advice}", failure.message),
            )
        }
    };
    Some(Problem {
        exposure: matches!(*kind, "Ingress" | "HTTPRoute" | "Certificate"),
        database: matches!(*kind, "Cluster" | "Pooler"),
        ..found
    })
}

fn how_to_get(kind: &str) -> &'static str {
    match kind {
        "HTTPRoute" => {
            "Gateway API is not installed; install its CRDs, or remove exposure.gatewayRef to use an Ingress"
        }
        "Cluster" | "Pooler" => {
            "CloudNativePG is not installed; install it, or set database.mode to External or None (it cannot be changed later)"
        }
        "Certificate" => {
            "cert-manager is not installed; install it, or set exposure.tls.mode to Secret, Gateway or None"
        }
        _ => "the cluster does not serve its API; install it",
    }
}

fn of_component(component: &Component, world: &World, suspended: bool) -> Vec<Problem> {
    let name = &component.object_name;
    let mut problems: Vec<Problem> = infeasible(component, world)
        .map(|message| problem(Severity::Broken, "TooFewNodes", message))
        .into_iter()
        .collect();
    let Some((observation, workload)) = world.workload(name) else {
        problems.push(problem(
            Severity::Progressing,
            if suspended { "Suspended" } else { "Creating" },
            if suspended {
                format!(
                    "Deployment {name} does not exist and is not made while spec.suspend is true"
                )
            } else {
                format!("Deployment {name} is not there yet")
            },
        ));
        return problems;
    };
    let wanted = workload.replicas;
    let counts = format!(
        "Deployment {name}: {} of {wanted} pods ready",
        workload.ready
    );
    let settled = workload.observed_generation >= observation.generation
        && workload.updated >= wanted.min(workload.total)
        && workload.total <= workload.updated
        && workload.available >= wanted.min(component.replicas.minimum());
    if wanted == 0 && component.critical && !matches!(component.replicas, Replicas::Fixed(_)) {
        // Neither the operator nor an autoscaler wakes it again.
        return vec![problem(
            Severity::Stalled,
            "ScaledToZero",
            format!(
                "Deployment {name} was scaled to 0 pods; run: kubectl scale deployment {name} --replicas={}",
                component.replicas.minimum()
            ),
        )];
    }
    if settled && !component.first_start {
        return Vec::new();
    }
    if let Some(failure) = LiveCondition::find(&workload.conditions, "ReplicaFailure")
        && failure.status == "True"
        && workload.total < wanted.max(1) + i32::from(workload.updated < wanted)
    {
        problems.push(refused_pods(&counts, &failure.message));
    }
    let troubled = world
        .pods_of(&component.name)
        .filter_map(|pod| Some((pod, pod.trouble.as_ref()?)))
        .map(|(pod, trouble)| of_pod(&Words::of_component(component), &counts, pod, trouble))
        .min();
    problems.extend(troubled);
    if let Some(progress) = LiveCondition::find(&workload.conditions, "Progressing")
        && progress.reason == "ProgressDeadlineExceeded"
        && let Some(worst) = problems.iter_mut().min()
    {
        // The rollout has given up; what keeps the pods from serving will not pass by itself.
        worst.severity = Severity::Stalled;
    }
    if problems.is_empty() {
        let (reason, what) = if component.first_start {
            (
                "FirstStart",
                "first start: one pod until it is ready, then the rest",
            )
        } else {
            ("RollingOut", "waiting for the pods")
        };
        problems.push(problem(
            Severity::Progressing,
            reason,
            format!(
                "{counts}, {} of the wanted version; {what}",
                workload.updated
            ),
        ));
    }
    problems
}

/// Pods that the API server refused to create.
fn refused_pods(counts: &str, message: &str) -> Problem {
    let (reason, advice) = if message.contains("violates PodSecurity") {
        (
            "PodSecurityViolation",
            "the namespace enforces more than the pods keep to; look at the level in its labels",
        )
    } else if message.contains("exceeded quota") {
        (
            "QuotaExceeded",
            "raise the ResourceQuota, or lower size or replicas",
        )
    } else {
        ("PodsRefused", "correct what the message names")
    };
    problem(
        Severity::Stalled,
        reason,
        format!("{counts}; pods are refused: {message}; {advice}"),
    )
}

/// Whether there are fewer nodes than the spread over nodes demands, told before a pod is left over.
pub(super) fn infeasible(component: &Component, world: &World) -> Option<String> {
    let nodes = world.nodes.as_ref()?;
    let needed = component.replicas.minimum();
    let usable = usable_nodes(component, nodes.values());
    (component.placement.nodes == SpreadMode::Required && usable < needed).then(|| {
        format!(
            "Deployment {} needs {needed} nodes, one for each pod, and {usable} can take its pods; add nodes, or set placement.spread.nodes: Preferred",
            component.object_name
        )
    })
}

/// How many nodes can take a component's pods.
pub(super) fn usable_nodes<'a>(
    component: &Component,
    nodes: impl Iterator<Item = &'a Node>,
) -> i32 {
    let count = nodes.filter(|node| takes(component, node)).count();
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Whether a node can take a component's pods, by readiness, labels and taints.
pub(super) fn takes(component: &Component, node: &Node) -> bool {
    let placement = &component.placement;
    node.usable
        && placement.node_selector.iter().all(|(key, value)| {
            node.labels
                .get(key.as_str())
                .is_some_and(|v| **v == **value)
        })
        && node.taints.iter().all(|(key, value, effect)| {
            &**effect == "PreferNoSchedule"
                || placement.tolerations.iter().any(|toleration| {
                    let same_key = toleration.key.as_deref().is_none_or(|k| k == &**key);
                    let same_value = toleration.operator == Some(TolerationOperator::Exists)
                        || toleration.value.as_deref().unwrap_or("") == &**value;
                    let same_effect = toleration.effect.is_none_or(|wanted| {
                        &**effect
                            == match wanted {
                                TaintEffect::NoSchedule => "NoSchedule",
                                TaintEffect::PreferNoSchedule => "PreferNoSchedule",
                                TaintEffect::NoExecute => "NoExecute",
                            }
                    });
                    same_key && same_value && same_effect
                })
        })
}

/// How many pods an autoscaled component can have at most, given that each needs a node of its own.
pub(super) fn ceiling(component: &Component, world: &World) -> Option<(i32, i32)> {
    let Replicas::Autoscaled(autoscaling) = &component.replicas else {
        return None;
    };
    let nodes = world.nodes.as_ref()?;
    let usable = usable_nodes(component, nodes.values());
    (component.placement.nodes == SpreadMode::Required && usable < autoscaling.max)
        .then_some((usable, autoscaling.max))
}

/// Whether the plan leaves the certificate to cert-manager and exposes by an Ingress or a Gateway.
pub(super) fn wants_certificate(plan: &Plan) -> bool {
    plan.exposure.route != Route::None && matches!(plan.exposure.tls, TlsSource::CertManager(_))
}

//! The conditions: what they say and when.

use super::{
    Draft,
    problems::{Problem, Severity, infeasible},
    summary,
};
use crate::{
    api::status::{ComponentStatus, ConditionType, Enforcement, PolicyStatus, Verdict},
    children::live::{Health, LiveCondition},
    observe::{ApiState, World},
    outcome::{Done, Outcome},
    plan::{Plan, Route},
};

/// The conditions of a portal whose spec was resolved.
#[must_use]
pub(super) fn conditions(
    plan: &Plan,
    world: &World,
    problems: &[Problem],
    components: &[ComponentStatus],
    policies: &[PolicyStatus],
) -> Vec<Draft> {
    let all: Vec<&Problem> = problems.iter().collect();
    let mut drafts = Vec::new();
    match problems.first() {
        None => {
            let ready: i32 = components.iter().map(|component| component.ready).sum();
            let place = plan.exposure.url.as_deref().map_or_else(
                || "inside the cluster".to_owned(),
                |url| format!("at {url}"),
            );
            let message = if plan.suspended {
                format!("{ready} pods serve {place}; spec.suspend is true, so nothing is changed")
            } else {
                format!("{ready} pods serve {place}")
            };
            drafts.push((
                ConditionType::Ready,
                Verdict::True,
                if plan.suspended {
                    "Suspended"
                } else {
                    "Serving"
                },
                message,
            ));
        }
        Some(worst) => {
            let message = summary(&all);
            drafts.push((
                ConditionType::Ready,
                Verdict::False,
                worst.reason,
                message.clone(),
            ));
            drafts.push(if worst.severity == Severity::Stalled {
                (ConditionType::Stalled, Verdict::True, worst.reason, message)
            } else {
                (
                    ConditionType::Reconciling,
                    Verdict::True,
                    worst.reason,
                    message,
                )
            });
        }
    }
    drafts.push(available(plan, world));
    drafts.extend(super::database::condition(plan, world, problems));
    drafts.push(exposed(plan, world, problems));
    drafts.push(compliant(policies));
    drafts
}

/// The conditions of a portal that cannot go on without its owner.
pub(super) fn stalled(reason: &'static str, message: &str) -> Vec<Draft> {
    vec![
        (
            ConditionType::Ready,
            Verdict::False,
            reason,
            message.to_owned(),
        ),
        (
            ConditionType::Stalled,
            Verdict::True,
            reason,
            message.to_owned(),
        ),
    ]
}

fn available(plan: &Plan, world: &World) -> Draft {
    let mut short = Vec::new();
    let mut least = Vec::new();
    let mut scarce = Vec::new();
    for component in plan
        .components
        .iter()
        .filter(|component| component.critical)
    {
        let minimum = component.replicas.minimum();
        let available = world
            .workload(&component.object_name)
            .map_or(0, |(_, workload)| workload.available);
        if available < minimum {
            short.push(format!(
                "Deployment {}: {available} pods available, at least {minimum} are wanted",
                component.object_name
            ));
        } else {
            least.push(format!("{} at least {minimum}", component.name));
            scarce.extend(infeasible(component, world));
        }
    }
    if short.is_empty() {
        let message = if least.is_empty() {
            "no component is critical".to_owned()
        } else if let [first, ..] = &scarce[..] {
            format!(
                "every critical component has its pods ({}), but a lost one cannot be replaced: {first}",
                least.join(", ")
            )
        } else {
            format!(
                "every critical component has its pods: {}",
                least.join(", ")
            )
        };
        (
            ConditionType::Available,
            Verdict::True,
            "MinimumAvailable",
            message,
        )
    } else {
        (
            ConditionType::Available,
            Verdict::False,
            "BelowMinimum",
            short.join("; "),
        )
    }
}

fn compliant(policies: &[PolicyStatus]) -> Draft {
    let required: Vec<_> = policies
        .iter()
        .filter(|policy| policy.enforcement == Enforcement::Required)
        .collect();
    let names = |verdict: Verdict| {
        required
            .iter()
            .filter(|policy| policy.status == verdict)
            .map(|policy| format!("{} ({})", policy.name.as_str(), policy.reason))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (broken, unknown) = (names(Verdict::False), names(Verdict::Unknown));
    let condition = ConditionType::PolicyCompliant;
    if !broken.is_empty() {
        return (
            condition,
            Verdict::False,
            "PolicyBroken",
            format!("these required policies do not hold: {broken}; see status.policies"),
        );
    }
    if !unknown.is_empty() {
        return (
            condition,
            Verdict::Unknown,
            "EvidenceMissing",
            format!("these required policies cannot be judged: {unknown}; see status.policies"),
        );
    }
    (
        condition,
        Verdict::True,
        "AllHold",
        match required.len() {
            0 => "the profile requires no policy".to_owned(),
            count => format!("all {count} required policies hold"),
        },
    )
}

fn exposed(plan: &Plan, world: &World, problems: &[Problem]) -> Draft {
    let condition = ConditionType::Exposed;
    if let Some(problem) = problems.iter().find(|problem| problem.exposure) {
        return (
            condition,
            Verdict::False,
            problem.reason,
            problem.message.clone(),
        );
    }
    let name = &plan.identity.name;
    let cookie_missing =
        plan.exposure.paths.iter().any(|path| path.cookie) && !plan.exposure.session_persistence;
    match &plan.exposure.route {
        Route::None => (
            condition,
            Verdict::False,
            "NotExposed",
            "the portal is reachable inside the cluster only; set host and a path to expose it"
                .into(),
        ),
        Route::Gateway(gateway) if cookie_missing => (
            condition,
            Verdict::True,
            "AcceptedWithoutAffinity",
            format!(
                "HTTPRoute {name} is accepted by Gateway {}, but keeps no sessions: the installed HTTPRoute has no sessionPersistence; install the experimental channel of Gateway API, or set webSocket.affinity: ClientIP",
                gateway.name
            ),
        ),
        Route::Gateway(gateway) => (
            condition,
            Verdict::True,
            "Accepted",
            format!("HTTPRoute {name} is accepted by Gateway {}", gateway.name),
        ),
        Route::Ingress { .. } => match world.child("Ingress", name).map(|child| &child.health) {
            Some(Health::Ingress { addresses: 1.. }) => (
                condition,
                Verdict::True,
                "AddressAssigned",
                format!("Ingress {name} has an address"),
            ),
            _ => (
                condition,
                Verdict::Unknown,
                "NoAddress",
                format!(
                    "Ingress {name} has no address; if no controller serves its class, set exposure.ingressClassName (some controllers never write one)"
                ),
            ),
        },
    }
}

/// What the route or the certificate says against the portal being reached. An outcome that already tells of them is not
/// repeated.
pub(super) fn exposure_problem(
    plan: &Plan,
    world: &World,
    outcomes: &[Outcome],
) -> Option<Problem> {
    let told = outcomes.iter().any(|outcome| {
        matches!(outcome.key.0, "HTTPRoute" | "Ingress" | "Certificate")
            && !matches!(outcome.result, Done::Kept | Done::Written | Done::Deleted)
    });
    if told {
        return None;
    }
    let name = &plan.identity.name;
    let (severity, reason, message) = match &plan.exposure.route {
        Route::Gateway(gateway) if *world.api("HTTPRoute") == ApiState::Synced => {
            let gateway = match &gateway.namespace {
                Some(namespace) => format!("{namespace}/{}", gateway.name),
                None => gateway.name.clone(),
            };
            route_problem(name, &gateway, world)
        }
        _ => None,
    }
    .or_else(|| certificate_problem(plan, world))?;
    Some(Problem {
        severity,
        reason,
        message,
        exposure: true,
        database: false,
    })
}

fn route_problem(
    name: &str,
    gateway: &str,
    world: &World,
) -> Option<(Severity, &'static str, String)> {
    let observation = world.child("HTTPRoute", name)?;
    let Health::Route { parents } = &observation.health else {
        return None;
    };
    if parents.is_empty() {
        return Some((
            Severity::Progressing,
            "NotPickedUp",
            format!(
                "HTTPRoute {name}: no controller has answered for Gateway {gateway}; check exposure.gatewayRef, and that the Gateway's controller runs"
            ),
        ));
    }
    for parent in parents {
        for type_ in ["Accepted", "ResolvedRefs"] {
            let condition = LiveCondition::find(&parent.conditions, type_);
            let current = condition.is_some_and(|condition| {
                condition.status == "True"
                    && condition
                        .observed_generation
                        .is_none_or(|generation| generation >= observation.generation)
            });
            if current {
                continue;
            }
            let refused = condition.filter(|condition| condition.status == "False");
            return Some(refused.map_or_else(
                || {
                    (
                        Severity::Progressing,
                        "NotPickedUp",
                        format!(
                            "HTTPRoute {name}: Gateway {gateway} has not judged it yet ({type_})"
                        ),
                    )
                },
                |condition| {
                    (
                        Severity::Broken,
                        "RouteRefused",
                        format!(
                            "HTTPRoute {name} is refused by Gateway {gateway}: {}: {}; {}",
                            condition.reason,
                            condition.message,
                            route_advice(&condition.reason)
                        ),
                    )
                },
            ));
        }
    }
    None
}

fn route_advice(reason: &str) -> &'static str {
    match reason {
        "NotAllowedByListeners" => {
            "let the listener admit this namespace (listeners[].allowedRoutes.namespaces)"
        }
        "NoMatchingListenerHostname" => "let a listener serve this host, or correct spec.host",
        "NoMatchingParent" => "correct exposure.gatewayRef.sectionName",
        "BackendNotFound" => "the Service is made by the operator; look at the other conditions",
        _ => "look at the HTTPRoute's status",
    }
}

fn certificate_problem(plan: &Plan, world: &World) -> Option<(Severity, &'static str, String)> {
    if !super::problems::wants_certificate(plan) {
        return None;
    }
    let name = &plan.identity.name;
    let observation = world.child("Certificate", name)?;
    let Health::Certificate { conditions, .. } = &observation.health else {
        return None;
    };
    let ready = LiveCondition::find(conditions, "Ready");
    if ready.is_some_and(|ready| ready.status == "True") {
        return None;
    }
    Some(ready.map_or_else(
        || {
            (
                Severity::Progressing,
                "CertificatePending",
                format!("Certificate {name}: cert-manager has not answered yet; check that it runs"),
            )
        },
        |ready| {
            (
                Severity::Broken,
                "CertificateNotReady",
                format!(
                    "Certificate {name}: {}: {}; look at kubectl describe certificate {name} and at the issuer",
                    ready.reason, ready.message
                ),
            )
        },
    ))
}

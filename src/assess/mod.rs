//! From the plan, the world and what was done to the whole status. Pure: the time comes in as an argument.

pub(crate) mod backup;
mod database;
mod pods;
pub mod policies;
pub mod problems;
pub mod ready;

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use self::{
    policies::{Judged, Subject},
    problems::Problem,
};
use crate::{
    api::{
        spec::PortalPlatform,
        status::{
            ComponentStatus, Condition, ConditionType, Conflict, Effective, Integrations,
            PolicyName, PolicyStatus, PortalPlatformStatus, Verdict,
        },
    },
    observe::{ApiState, World},
    outcome::{Done, Outcome},
    plan::{Component, Plan, SpecProblem},
};

/// A status, and when it must be looked at again although nothing changes.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The whole status.
    pub status: PortalPlatformStatus,
    /// The next moment at which a verdict can change by the passing of time.
    pub recheck: Option<Timestamp>,
    /// Since when what policies observe lasts, for those that measure time.
    pub since: Vec<(PolicyName, Timestamp)>,
}

/// The status of a portal whose spec was resolved.
#[must_use]
pub fn assess(
    portal: &PortalPlatform,
    plan: &Plan,
    world: &World,
    outcomes: &[Outcome],
    applied: String,
    now: Timestamp,
) -> Assessed {
    let previous = portal.status.clone().unwrap_or_default();
    let problems = problems::problems(plan, world, outcomes);
    let mut database = database::status(plan, world, previous.database.as_ref());
    let subject = Subject {
        plan,
        world,
        database: database.as_ref(),
        now,
    };
    let Judged {
        policies,
        recheck,
        since,
    } = policies::judge(&subject, &portal.spec, &previous.policies);
    backup::keep_time(database.as_mut(), &policies, &previous);
    let started = started(&previous, plan, world);
    let components: Vec<ComponentStatus> = plan
        .components
        .iter()
        .map(|component| component_status(component, world, started.contains(&component.name)))
        .collect();
    let conditions = ready::conditions(plan, world, &problems, &components, &policies);
    let status = PortalPlatformStatus {
        observed_generation: portal.metadata.generation.unwrap_or(0),
        url: plan.exposure.url.clone(),
        available: Some(available(&components)),
        policies_held: Some(held(&policies)),
        effective: Some(Effective {
            profile: plan.profile,
            revision: plan.revision(),
        }),
        applied: Some(applied),
        conditions: stamp(conditions, &previous.conditions, portal, now),
        policies,
        components,
        database,
        conflicts: conflicts(outcomes),
        integrations: Some(Integrations {
            gateway_api: (*world.api("HTTPRoute") != ApiState::Absent).into(),
            cloudnative_pg: (*world.api("Cluster") != ApiState::Absent).into(),
            barman_plugin: (*world.api("ObjectStore") != ApiState::Absent).into(),
            cert_manager: (*world.api("Certificate") != ApiState::Absent).into(),
        }),
    };
    Assessed {
        status,
        recheck,
        since,
    }
}

/// The status of a portal whose spec cannot be carried out. What runs is left alone, and what was known of it stays.
#[must_use]
pub fn invalid(portal: &PortalPlatform, problems: &[SpecProblem], now: Timestamp) -> Assessed {
    let mut status = portal.status.clone().unwrap_or_default();
    status.observed_generation = portal.metadata.generation.unwrap_or(0);
    let message = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.field, problem.message))
        .collect::<Vec<_>>()
        .join("; ");
    let message = format!("{message}. Running objects are left as they are");
    status.conditions = stamp(
        ready::stalled("InvalidSpec", &message),
        &status.conditions,
        portal,
        now,
    );
    Assessed {
        status,
        recheck: None,
        since: Vec::new(),
    }
}

/// Components whose first start is over. Once written to status it stays, so that a Deployment that is made anew starts with
/// all its pods.
#[must_use]
pub fn started(previous: &PortalPlatformStatus, plan: &Plan, world: &World) -> BTreeSet<String> {
    let mut started = world.started(
        plan.components
            .iter()
            .map(|component| (component.name.as_str(), component.object_name.clone())),
    );
    started.extend(
        previous
            .components
            .iter()
            .filter(|component| component.started)
            .map(|component| component.name.clone()),
    );
    started
}

/// A condition before it is known when its status last changed.
pub type Draft = (ConditionType, Verdict, &'static str, String);

fn stamp(
    drafts: Vec<Draft>,
    previous: &[Condition],
    portal: &PortalPlatform,
    now: Timestamp,
) -> Vec<Condition> {
    drafts
        .into_iter()
        .map(|(type_, status, reason, message)| {
            let unchanged = previous
                .iter()
                .find(|condition| condition.type_ == type_ && condition.status == status);
            Condition {
                type_,
                status,
                observed_generation: portal.metadata.generation.unwrap_or(0),
                last_transition_time: unchanged.map_or_else(
                    || time_text(now),
                    |condition| condition.last_transition_time.clone(),
                ),
                reason: reason.to_owned(),
                message,
            }
        })
        .collect()
}

/// A point in time as Kubernetes writes it, in whole seconds.
#[must_use]
pub fn time_text(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second())
        .unwrap_or(time)
        .to_string()
}

fn component_status(component: &Component, world: &World, started: bool) -> ComponentStatus {
    let workload = world.workload(&component.object_name).map(|(_, w)| w);
    let zones = world
        .ready_by_zone(&component.name)
        .into_iter()
        .map(|(zone, pods)| (zone.to_owned(), pods))
        .collect();
    ComponentStatus {
        name: component.name.clone(),
        image: component.image.clone(),
        desired: workload.map_or_else(
            || {
                if component.first_start {
                    1
                } else {
                    component.replicas.minimum()
                }
            },
            |workload| workload.replicas,
        ),
        ready: workload.map_or(0, |workload| workload.ready),
        updated: workload.map_or(0, |workload| workload.updated),
        zones,
        started,
    }
}

fn available(components: &[ComponentStatus]) -> String {
    let (ready, desired) = components.iter().fold((0, 0), |(ready, desired), c| {
        (ready + c.ready, desired + c.desired)
    });
    format!("{ready}/{desired}")
}

fn held(policies: &[PolicyStatus]) -> String {
    let held = policies
        .iter()
        .filter(|policy| policy.status == Verdict::True)
        .count();
    format!("{held}/{}", policies.len())
}

fn conflicts(outcomes: &[Outcome]) -> Vec<Conflict> {
    let mut conflicts: Vec<Conflict> = outcomes
        .iter()
        .filter_map(|outcome| match &outcome.result {
            Done::Refused { manager } => Some(Conflict {
                kind: outcome.key.0.to_owned(),
                name: outcome.key.1.clone(),
                manager: manager.clone(),
            }),
            _ => None,
        })
        .collect();
    conflicts.sort();
    conflicts
}

/// The most pressing of several problems comes first in a condition's message; the rest is counted.
#[must_use]
pub(crate) fn summary(problems: &[&Problem]) -> String {
    match problems {
        [] => String::new(),
        [only] => only.message.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.message, rest.len()),
    }
}

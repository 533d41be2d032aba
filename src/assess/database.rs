//! What is said of the database: its state, its condition, and what ails it.

use super::{
    Draft, backup,
    pods::of_pods,
    problems::{Problem, Severity},
};
use crate::{
    api::{
        status::{ConditionType, DatabaseStatus, Verdict},
        values::Quantity,
    },
    children::live::{ClusterState, Health, LiveCondition},
    foreign::cloudnative_pg::HEALTHY,
    observe::{ApiState, World},
    outcome::{Done, Outcome},
    plan::{
        Plan,
        database::{COMPONENT, Database, Managed, POOLER_COMPONENT},
    },
};

/// The database in status.
#[must_use]
pub(super) fn status(
    plan: &Plan,
    world: &World,
    previous: Option<&DatabaseStatus>,
) -> Option<DatabaseStatus> {
    let managed = plan.database.managed()?;
    let cluster = world.cluster(&managed.name)?;
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut status = DatabaseStatus {
        phase: given(&cluster.phase),
        primary: given(&cluster.primary),
        instances: managed.instances,
        ready: cluster.ready,
        ..DatabaseStatus::default()
    };
    backup::complete(&mut status, plan, world, previous);
    Some(status)
}

/// The condition `DatabaseReady`; none without a database.
pub(super) fn condition(plan: &Plan, world: &World, problems: &[Problem]) -> Option<Draft> {
    let type_ = ConditionType::DatabaseReady;
    let managed = match &plan.database {
        Database::None => return None,
        Database::External(external) => {
            return Some((
                type_,
                Verdict::Unknown,
                "ExternallyManaged",
                format!(
                    "the database at {} is looked after elsewhere; the components' readiness tells whether they reach it",
                    external.connection.host
                ),
            ));
        }
        Database::Managed(managed) => managed,
    };
    if let Some(problem) = problems.iter().find(|problem| problem.database) {
        return Some((
            type_,
            Verdict::False,
            problem.reason,
            problem.message.clone(),
        ));
    }
    let primary = world
        .cluster(&managed.name)
        .map_or("", |cluster| cluster.primary.as_str());
    Some((
        type_,
        Verdict::True,
        "Healthy",
        format!(
            "Cluster {}: {} of {} instances ready, {primary} takes writes",
            managed.name, managed.instances, managed.instances
        ),
    ))
}

/// Everything that keeps the database from being as its spec says.
pub(super) fn problems(plan: &Plan, world: &World, outcomes: &[Outcome]) -> Vec<Problem> {
    let Some(managed) = plan.database.managed() else {
        return Vec::new();
    };
    let told = |kind: &str| {
        *world.api(kind) != ApiState::Synced
            || outcomes.iter().any(|outcome| {
                outcome.key.0 == kind
                    && matches!(
                        outcome.result,
                        Done::Failed(_) | Done::Refused { .. } | Done::Waiting { .. }
                    )
            })
    };
    // An outcome that already tells of it is not repeated.
    if told("Cluster") || told("Pooler") {
        return Vec::new();
    }
    let mut problems: Vec<Problem> = of_cluster(managed, world, plan.suspended)
        .into_iter()
        .chain(of_pooler(managed, world))
        .collect();
    let held = outcomes
        .iter()
        .find(|outcome| outcome.result == Done::Held && outcome.key.0 == "Deployment")
        .map(|outcome| &outcome.key);
    if let (Some((kind, name)), true) = (held, problems.is_empty()) {
        problems.push(problem(
            Severity::Progressing,
            "WaitingForDatabase",
            format!(
                "{kind} {name} waits for Cluster {} to name the Secret with its password",
                managed.name
            ),
        ));
    }
    problems
}

fn problem(severity: Severity, reason: &'static str, message: String) -> Problem {
    Problem {
        severity,
        reason,
        message,
        exposure: false,
        database: true,
    }
}

fn of_cluster(managed: &Managed, world: &World, suspended: bool) -> Option<Problem> {
    let name = &managed.name;
    let Some(cluster) = world.cluster(name) else {
        return Some(if suspended {
            problem(
                Severity::Progressing,
                "Suspended",
                format!("Cluster {name} does not exist and is not made while spec.suspend is true"),
            )
        } else {
            problem(
                Severity::Progressing,
                "DatabaseCreating",
                format!("Cluster {name} is not there yet"),
            )
        });
    };
    if let Some(hibernation) = LiveCondition::find(&cluster.conditions, "cnpg.io/hibernation")
        && hibernation.status == "True"
    {
        let next = if managed.hibernates && suspended {
            "set spec.suspend to false to wake it"
        } else {
            "remove its annotation cnpg.io/hibernation to wake it"
        };
        return Some(problem(
            Severity::Stalled,
            "Hibernated",
            format!("Cluster {name} hibernates: its pods are stopped, its volumes stay; {next}"),
        ));
    }
    if let Some(fenced) = &cluster.fenced {
        return Some(problem(
            Severity::Stalled,
            "Fenced",
            format!(
                "Cluster {name}: instances {fenced} are fenced, so PostgreSQL is stopped there; remove its annotation cnpg.io/fencedInstances"
            ),
        ));
    }
    let counts = format!(
        "Cluster {name}: {} of {} instances ready",
        cluster.ready, managed.instances
    );
    let phase = of_phase(cluster, &counts);
    if phase
        .as_ref()
        .is_some_and(|found| found.severity == Severity::Stalled)
    {
        return phase;
    }
    if cluster.phase == HEALTHY && cluster.ready >= managed.instances {
        return of_volumes(managed, world);
    }
    // Pods say more than the phase does.
    of_pods(COMPONENT, &counts, world)
        .map(|found| Problem {
            database: true,
            ..found
        })
        .or(phase)
        .or_else(|| {
            Some(problem(
                Severity::Progressing,
                "DatabaseProgressing",
                format!("{counts}; waiting for CloudNativePG to look at it"),
            ))
        })
}

/// A volume that is smaller than wanted. CloudNativePG does not report a StorageClass that refuses to grow one.
fn of_volumes(managed: &Managed, world: &World) -> Option<Problem> {
    world.volumes.iter().find_map(|volume| {
        let wanted = match &*volume.role {
            "PG_DATA" => managed.data_volume(),
            "PG_WAL" => managed.wal_volume()?,
            _ => return None,
        };
        let bytes = |size: &str| Quantity(size.to_owned()).value();
        let smaller = |size: &str| {
            bytes(size)
                .zip(wanted.value())
                .is_some_and(|(size, wanted)| size < wanted)
        };
        let next = if smaller(&volume.requested) {
            format!(
                "StorageClass {} has to allow that by allowVolumeExpansion: true",
                volume.class
            )
        } else if smaller(&volume.capacity) {
            format!(
                "the driver of StorageClass {} has to do it; look at kubectl describe pvc {}",
                volume.class, volume.name
            )
        } else {
            return None;
        };
        let size = match &*volume.capacity {
            "" => &volume.requested,
            capacity => capacity,
        };
        Some(problem(
            Severity::Progressing,
            "VolumeGrowing",
            format!(
                "PersistentVolumeClaim {} has {size} and shall grow to {}; {next}",
                volume.name, wanted.0
            ),
        ))
    })
}

/// What a phase of CloudNativePG means, with the next step.
fn of_phase(cluster: &ClusterState, counts: &str) -> Option<Problem> {
    let said = if cluster.phase_reason.is_empty() {
        cluster.phase.clone()
    } else {
        let reason = cluster.phase_reason.trim_end_matches('.');
        format!("{}: {reason}", cluster.phase)
    };
    let (severity, reason, next) = match cluster.phase.as_str() {
        "" => return None,
        "Setting up primary" => (
            Severity::Progressing,
            "DatabaseStarting",
            "the first instance is made".to_owned(),
        ),
        "Failing over" | "Switchover in progress" => (
            Severity::Broken,
            "FailoverInProgress",
            successor(cluster),
        ),
        "Waiting for user action" | "Cluster upgrade delayed" => (
            Severity::Stalled,
            "DatabaseWaitsForYou",
            "look at kubectl describe cluster, and let it go on".to_owned(),
        ),
        "Unable to create required cluster objects" => (
            Severity::Stalled,
            "DatabaseObjectsRefused",
            "remove what refuses them, such as a quota or an object of the same name".to_owned(),
        ),
        "Invalid cluster definition" => (
            Severity::Stalled,
            "DatabaseInvalid",
            "correct the field of spec.database.managed that it names".to_owned(),
        ),
        "Not enough disk space" => (
            Severity::Stalled,
            "DatabaseDiskFull",
            "raise spec.database.managed.storage.size, or walSize where the log has a volume of its own; a log that cannot be archived fills it again".to_owned(),
        ),
        "Instance Status Extraction Error: HTTP communication issue" => (
            Severity::Broken,
            "DatabaseUnreachable",
            "the operator of CloudNativePG must be able to connect to port 8000 of the instances".to_owned(),
        ),
        "Cluster has incomplete or invalid image catalog" => (
            Severity::Stalled,
            "ImageCatalogInvalid",
            "correct spec.database.managed.imageCatalogRef, or add the version to the catalog"
                .to_owned(),
        ),
        "Cluster is unrecoverable and needs manual intervention" => (
            Severity::Stalled,
            "DatabaseUnrecoverable",
            "no instance can be started; look at their logs, and restore from a backup if they cannot be mended".to_owned(),
        ),
        "Cluster cannot execute instance online upgrade due to missing architecture binary" => (
            Severity::Stalled,
            "DatabaseUpgradeImpossible",
            "use an image of CloudNativePG's operator for every architecture of the nodes".to_owned(),
        ),
        phase if phase.contains("plugin") => (
            Severity::Broken,
            "DatabasePluginFailing",
            "look at the pods of the plugin in the namespace of CloudNativePG; until they answer, no failover happens".to_owned(),
        ),
        HEALTHY => (
            Severity::Broken,
            "DatabaseDegraded",
            "an instance is not ready; look at kubectl describe cluster".to_owned(),
        ),
        _ => (
            Severity::Progressing,
            "DatabaseProgressing",
            "CloudNativePG is at work".to_owned(),
        ),
    };
    Some(problem(
        severity,
        reason,
        format!("{counts}; {said}; {next}"),
    ))
}

/// Who takes over, once CloudNativePG has chosen and until it says that it is done.
fn successor(cluster: &ClusterState) -> String {
    let (former, next) = (&cluster.primary, &cluster.target_primary);
    if next.is_empty() || next == "pending" || next == former {
        "writes wait until another instance has taken over".to_owned()
    } else {
        format!("{next} takes over from {former}; writes wait until it has")
    }
}

fn of_pooler(managed: &Managed, world: &World) -> Option<Problem> {
    let pooler = managed.pooler.as_ref()?;
    let name = &pooler.name;
    let Some(Health::Pooler {
        phase,
        phase_reason,
        ..
    }) = world.child("Pooler", name).map(|child| &child.health)
    else {
        return Some(problem(
            Severity::Progressing,
            "PoolerCreating",
            format!("Pooler {name} is not there yet"),
        ));
    };
    let ready = world.pooler_ready(name);
    let counts = format!("Pooler {name}: {ready} of {} pods ready", pooler.instances);
    match phase.as_str() {
        "failed" => Some(problem(
            Severity::Stalled,
            "PoolerFailed",
            format!("{counts}; {phase_reason}; correct spec.database.managed.pooler"),
        )),
        "paused" => Some(problem(
            Severity::Stalled,
            "PoolerPaused",
            format!(
                "{counts}; it is paused, so new connections wait; set spec.pgbouncer.paused of the Pooler to false"
            ),
        )),
        _ if ready >= pooler.instances => None,
        _ => of_pods(POOLER_COMPONENT, &counts, world)
            .map(|found| Problem {
                database: true,
                ..found
            })
            .or_else(|| {
                Some(problem(
                    Severity::Progressing,
                    "PoolerProgressing",
                    if phase_reason.is_empty() {
                        format!("{counts}; waiting for the pods")
                    } else {
                        format!("{counts}; {phase_reason}")
                    },
                ))
            }),
    }
}

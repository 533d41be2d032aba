//! What is said of backups, and what the policies about them have in common.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::time_text;
use crate::{
    api::status::{
        ArchivedLog, DatabaseStatus, Dumps, PolicyName, PolicyStatus, PortalPlatformStatus, Verdict,
    },
    children::live::{Health, LiveCondition, RecoveryWindow},
    observe::{ApiState, World},
    plan::{Backup, Database, Plan, backup::ARCHIVE_COMPONENT, database::Managed},
};

/// What keeps a policy about backups from being judged.
pub(super) struct Obstacle {
    pub(super) status: Verdict,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// A database with backups, or what it lacks.
pub(super) fn backed_up<'a>(
    plan: &'a Plan,
    world: &World,
) -> Result<(&'a Managed, &'a Backup), Obstacle> {
    let obstacle = |status, reason, message: &str| Obstacle {
        status,
        reason,
        message: message.to_owned(),
    };
    let managed = match &plan.database {
        Database::None => {
            return Err(obstacle(
                Verdict::True,
                "NoDatabase",
                "there is no database to lose",
            ));
        }
        Database::External(_) => {
            return Err(obstacle(
                Verdict::Unknown,
                "ExternallyManaged",
                "the database is looked after elsewhere, and so are its backups; waive the policy, or see to it there",
            ));
        }
        Database::Managed(managed) => managed,
    };
    let Some(backup) = &plan.backup else {
        return Err(obstacle(
            Verdict::False,
            "NoBackupDestination",
            "the database has no backups; add to spec: backup: {destination: {path: \"s3://BUCKET/FOLDER\", credentialsSecretRef: {name: SECRET}}}",
        ));
    };
    if *world.api("ObjectStore") == ApiState::Absent {
        let next = if backup.attached {
            "the database cannot be reconciled and fails over to nobody without it; install it again"
        } else {
            "install it; the database runs without backups meanwhile"
        };
        return Err(obstacle(
            Verdict::False,
            "BarmanPluginMissing",
            &format!("the Barman Cloud plugin of CloudNativePG is not installed; {next}"),
        ));
    }
    Ok((managed, backup))
}

/// When the database came under this backup: at the latest of its own creation and its object store's.
pub(super) fn began(world: &World, backup: &Backup) -> Option<Timestamp> {
    let cluster = world.cluster(&backup.name)?.created?;
    match &world.child("ObjectStore", &backup.name)?.health {
        Health::ObjectStore {
            created: Some(created),
            ..
        } => Some(cluster.max(*created)),
        _ => None,
    }
}

/// The backups of this life of the database.
pub(super) fn window<'a>(world: &'a World, backup: &Backup) -> Option<&'a RecoveryWindow> {
    world.recovery_window(&backup.name, &backup.server_name)
}

/// A time of the Kubernetes API.
pub(super) fn time(text: Option<&String>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Why a base backup is not there, as far as CloudNativePG says.
pub(super) fn failing_backup(world: &World, managed: &Managed) -> Option<String> {
    let conditions = &world.cluster(&managed.name)?.conditions;
    let last = LiveCondition::find(conditions, "LastBackupSucceeded")?;
    (last.status == "False" && last.reason != "BackupStarted")
        .then(|| format!("the last one failed: {}", cause(&last.message)))
}

/// Whether a base backup is under way.
pub(crate) fn under_way(conditions: &[LiveCondition]) -> bool {
    LiveCondition::find(conditions, "LastBackupSucceeded")
        .is_some_and(|last| last.reason == "BackupStarted")
}

/// A sentence of the plugin in a user's words, with the next step. What it does not explain is found in its log.
pub(super) fn cause(message: &str) -> String {
    let said = message
        .trim_start_matches("rpc error: code = Unknown desc = ")
        .trim();
    let next = match exit_status(said) {
        Some(1) => {
            "the folder of this database in the object store is not empty and holds the log of another one; the folder must be its own"
        }
        Some(2) => {
            "the object store does not answer; look at backup.destination.endpoint, and whether the store runs"
        }
        Some(4) => {
            "the object store refuses; look at the credentials and at their right to write to the bucket"
        }
        _ if said.contains("secrets \"") || said.contains("missing key") => {
            "make the Secret and its keys as backup.destination.credentialsSecretRef says"
        }
        _ if said.contains("switchover in progress") => {
            "it goes on when another instance has taken over"
        }
        _ if said.contains("objectstores.barmancloud") => {
            "the condition Ready says what keeps the ObjectStore from being there"
        }
        _ => "look at the log of the container plugin-barman-cloud of the primary",
    };
    format!("{said}; {next}")
}

/// With what one of Barman's programs ended, if the sentence ends with that.
fn exit_status(said: &str) -> Option<u32> {
    said.rsplit_once("exit status ")?.1.parse().ok()
}

/// A duration as people say it: `45s`, `15m`, `1h30m`, `8d`.
pub(super) fn spoken(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let parts: Vec<String> = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .take(2)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if parts.is_empty() {
        "0s".into()
    } else {
        parts.concat()
    }
}

/// The dumps that the newest record tells of. A record goes with its pod, so what it said is kept in status.
pub(super) fn dumps(world: &World, previous: Option<&Dumps>) -> Option<Dumps> {
    world
        .pods
        .iter()
        .filter(|pod| &*pod.component == ARCHIVE_COMPONENT)
        .filter_map(|pod| serde_json::from_str(pod.record.as_deref()?).ok())
        .chain(previous.cloned())
        .max_by(|one, other| one.newest.cmp(&other.newest))
}

/// What the last job that made no dump said, if none was made since.
pub(super) fn failing_dump(world: &World, archive: &str) -> Option<String> {
    let Health::CronJob {
        last_schedule,
        last_success,
        active,
    } = &world.child("CronJob", archive)?.health
    else {
        return None;
    };
    let failed = !active
        && time(last_schedule.as_ref())?
            > time(last_success.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH);
    failed.then(|| {
        world
            .pods
            .iter()
            .filter(|pod| &*pod.component == ARCHIVE_COMPONENT && pod.trouble.is_some())
            .find_map(|pod| pod.record.as_deref())
            .unwrap_or("look at the pods of its last job")
            .to_owned()
    })
}

/// Adds what is known of backups to the status of the database.
pub(super) fn complete(
    status: &mut DatabaseStatus,
    plan: &Plan,
    world: &World,
    previous: Option<&DatabaseStatus>,
) {
    let Some(backup) = &plan.backup else {
        return;
    };
    let of_this_life = previous.and_then(|previous| {
        let archived = previous.archived.as_ref()?;
        (archived.server_name == backup.server_name).then_some(previous)
    });
    // That there was one is remembered: a store that somebody emptied shows none.
    status.last_backup = of_this_life.and_then(|previous| previous.last_backup.clone());
    if let Some(window) = window(world, backup) {
        status
            .recoverable_from
            .clone_from(&window.first_recoverability_point);
        if window.last_successful_backup_time.is_some() {
            status
                .last_backup
                .clone_from(&window.last_successful_backup_time);
        }
        let (failed, succeeded) = (
            time(window.last_failed_backup_time.as_ref()),
            time(window.last_successful_backup_time.as_ref()),
        );
        if failed > succeeded {
            status
                .last_failed_backup
                .clone_from(&window.last_failed_backup_time);
        }
    }
    let before = of_this_life.and_then(|previous| previous.archived.clone());
    status.dumps = dumps(
        world,
        of_this_life.and_then(|previous| previous.dumps.as_ref()),
    );
    status.archived = Some(match &world.archiving {
        None => before.unwrap_or_else(|| ArchivedLog {
            server_name: backup.server_name.clone(),
            ..ArchivedLog::default()
        }),
        Some(archiving) => ArchivedLog {
            server_name: backup.server_name.clone(),
            until: archiving.covered.map(time_text),
            timeline: archiving.timeline,
        },
    });
}

/// Leaves the moment until which the log is archived as it was written last, while nothing else about it is new: a time alone is no
/// reason to write a status.
pub(super) fn keep_time(
    database: Option<&mut DatabaseStatus>,
    policies: &[PolicyStatus],
    previous: &PortalPlatformStatus,
) {
    let verdict = |policies: &[PolicyStatus]| {
        policies
            .iter()
            .find(|policy| policy.name == PolicyName::RecoveryPoint)
            .map(|policy| {
                (
                    policy.status,
                    policy.reason.clone(),
                    policy.observed.clone(),
                )
            })
    };
    let before = previous
        .database
        .as_ref()
        .and_then(|database| database.archived.as_ref());
    if let (Some(now), Some(before)) = (database.and_then(|d| d.archived.as_mut()), before)
        && now.server_name == before.server_name
        && now.timeline == before.timeline
        && before.until.is_some()
        && verdict(policies) == verdict(&previous.policies)
    {
        now.until.clone_from(&before.until);
    }
}

//! `RecoveryPoint`: all but the latest work, as much as the objective allows, can be recovered if the whole database is lost.
//!
//! Judged by how far the primary's log is ahead of what is archived, as sampled from the primary. What CloudNativePG and the plugin
//! report can only lower the verdict: they stay content while a store hangs, and after it was emptied.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::{
        backup::{backed_up, began, cause, failing_backup, spoken, window},
        time_text,
    },
    children::live::LiveCondition,
    plan::{Backup, database::Managed},
};

/// Time for a first base backup before its absence is an alarm.
const FIRST_BACKUP: SignedDuration = SignedDuration::from_mins(30);
/// How long finished segments may wait while none is archived.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

pub(super) fn judge(subject: &Subject) -> Finding {
    let objective = SignedDuration::try_from(subject.plan.recovery_point).unwrap_or_default();
    let finding = |status, reason, source: &str| {
        Finding::new(
            status,
            reason,
            format!("at most {} of work lost", spoken(objective)),
            source,
        )
    };
    let (managed, backup) = match backed_up(subject.plan, subject.world) {
        Ok(found) => found,
        Err(obstacle) => {
            return finding(obstacle.status, obstacle.reason, "spec.backup.destination")
                .message(obstacle.message);
        }
    };
    let Some(cluster) = subject.world.cluster(&managed.name) else {
        return finding(Verdict::Unknown, "NotObserved", "Cluster")
            .message(format!("Cluster {} is not there yet", managed.name));
    };
    // Without an archiver PostgreSQL takes every segment for archived, and the condition is `True`.
    if cluster.server_name.is_none() {
        return finding(Verdict::Unknown, "NotObserved", "Cluster.spec.plugins").message(format!(
            "Cluster {} does not archive its log yet; the condition Ready says what keeps it from being changed",
            managed.name
        ));
    }
    let condition = LiveCondition::find(&cluster.conditions, "ContinuousArchiving");
    if let Some(condition) = condition
        && condition.status == "False"
    {
        return finding(
            Verdict::False,
            "ArchivingFailing",
            "Cluster.status.conditions[ContinuousArchiving]",
        )
        .message(format!(
            "Cluster {} cannot archive its log: {}",
            managed.name,
            cause(&condition.message)
        ));
    }
    let first =
        window(subject.world, backup).and_then(|window| window.first_recoverability_point.as_ref());
    if first.is_none() {
        return no_backup(subject, finding, managed, backup);
    }
    sampled(subject, finding, objective, &managed.name)
}

/// There is no base backup, so that nothing can be recovered.
fn no_backup(
    subject: &Subject,
    finding: impl Fn(Verdict, &'static str, &str) -> Finding,
    managed: &Managed,
    backup: &Backup,
) -> Finding {
    let cluster = &managed.name;
    let source = "ObjectStore.status.serverRecoveryWindow";
    let due = began(subject.world, backup).map(|began| began + FIRST_BACKUP);
    let failing = failing_backup(subject.world, managed);
    if let (Some(due), None) = (due, &failing)
        && due > subject.now
        && !subject.had_backup()
    {
        let mut waiting = finding(Verdict::Unknown, "FirstBackupPending", source).message(format!(
            "the first base backup of Cluster {cluster} is not there yet"
        ));
        waiting.recheck = Some(due);
        return waiting;
    }
    let failing = failing.map_or_else(String::new, |failing| format!("; {failing}"));
    finding(Verdict::False, "NoBackup", source).message(format!(
        "the object store holds no base backup of Cluster {cluster}, so nothing can be recovered; if it was emptied, make one now with a Backup object, as docs/backup.md shows{failing}"
    ))
}

/// What the samples say.
fn sampled(
    subject: &Subject,
    finding: impl Fn(Verdict, &'static str, &str) -> Finding,
    objective: SignedDuration,
    cluster: &str,
) -> Finding {
    let source = "pg/status of the primary, ObjectStore.status.serverRecoveryWindow";
    let Some(archiving) = &subject.world.archiving else {
        let mut pending = finding(Verdict::Unknown, "NotObserved", source).message(format!(
            "the primary of Cluster {cluster} has not been asked yet"
        ));
        pending.pending = true;
        return pending;
    };
    let unknown = || {
        let mut unknown = match &archiving.failure {
            Some(failure) => finding(Verdict::Unknown, "PrimaryNotReachable", source).message(format!(
                "the primary of Cluster {cluster} does not answer at port 8000: {failure}; let the operator connect to the pods of databases"
            )),
            None => finding(Verdict::Unknown, "NotObserved", source).message(format!(
                "it is not known yet how much of the log of Cluster {cluster} is archived; the next segment tells"
            )),
        };
        // What an operator before this one found out counts until this one could know better.
        let better = archiving
            .begun
            .filter(|_| !archiving.measured)
            .map(|begun| begun + objective);
        unknown.pending = better.is_some_and(|better| better > subject.now);
        unknown.recheck = better;
        unknown
    };
    let Some(covered) = archiving.covered else {
        return unknown();
    };
    let exposure = subject
        .now
        .duration_since(covered)
        .max(SignedDuration::ZERO);
    if let Some(since) = archiving.stalled
        && archiving
            .answered
            .is_some_and(|at| at.duration_since(since) >= PATIENCE)
    {
        return finding(Verdict::False, "ArchivingStalled", source)
            .observed(figure(exposure, objective).0)
            .since(covered)
            .message(format!(
                "segments of the log of Cluster {cluster} wait since {} and none is archived; the object store may hang or be full",
                time_text(since)
            ));
    }
    if exposure <= objective {
        let (observed, next) = figure(exposure, objective);
        let mut held = finding(Verdict::True, "WithinObjective", source)
            .observed(observed)
            .since(covered);
        if let Some(gap) = archiving.gap {
            held.message = Some(gap_message(cluster, gap));
        }
        held.recheck = Some(covered + next);
        return held;
    }
    // Without an answer it may be better than the bound says, and so it may where the bound is of an earlier process.
    if archiving.failure.is_some() || (!archiving.measured && archiving.gap.is_none()) {
        return unknown();
    }
    let (observed, next) = figure(exposure, objective);
    let (reason, message) = match archiving.gap {
        Some(gap) => ("GapInArchive", gap_message(cluster, gap)),
        None => (
            "ObjectiveMissed",
            format!(
                "more work of Cluster {cluster} than that may not be archived; the object store is too slow or does not answer"
            ),
        ),
    };
    let mut missed = finding(Verdict::False, reason, source)
        .observed(observed)
        .since(covered)
        .message(message);
    missed.recheck = Some(covered + next);
    missed
}

fn gap_message(cluster: &str, noticed: Timestamp) -> String {
    format!(
        "the failover of Cluster {cluster} noticed at {} may have left a part of the log out of the archive; the next base backup ends that, or one made now with a Backup object",
        time_text(noticed)
    )
}

/// The figure of status, which changes at quarters of the objective and later each time it doubles, and after how much more
/// exposure it is another.
fn figure(exposure: SignedDuration, objective: SignedDuration) -> (String, SignedDuration) {
    let quarter = objective / 4;
    for quarters in 1..=4 {
        let bound = quarter * quarters;
        if exposure < bound || (quarters == 4 && exposure <= bound) {
            return (format!("<{}", spoken(bound)), bound);
        }
    }
    let mut bound = objective;
    while bound * 2 <= exposure {
        bound *= 2;
    }
    (format!(">{}", spoken(bound)), bound * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_changes_at_quarters_of_the_objective_and_then_as_it_doubles() {
        let hour = SignedDuration::from_hours(1);
        for (minutes, expected, next) in [
            (0, "<15m", 15),
            (14, "<15m", 15),
            (15, "<30m", 30),
            (59, "<1h", 60),
            (60, "<1h", 60),
            (61, ">1h", 120),
            (130, ">2h", 240),
        ] {
            let (text, bound) = figure(SignedDuration::from_mins(minutes), hour);
            assert_eq!(
                (text.as_str(), bound),
                (expected, SignedDuration::from_mins(next)),
                "{minutes}"
            );
        }
    }
}

//! `BackupFresh`: the last base backup is younger than one and a half periods of its schedule.

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::backup::{backed_up, began, failing_backup, time, window},
};

const SOURCE: &str = "ObjectStore.status.serverRecoveryWindow";

pub(super) fn judge(subject: &Subject) -> Finding {
    let objective = || match &subject.plan.backup {
        Some(backup) => format!(
            "a base backup by the schedule {}, at most half a period late",
            backup.schedule.text()
        ),
        None => "a base backup each period, at most half a period late".to_owned(),
    };
    let finding = |status, reason| Finding::new(status, reason, objective(), SOURCE);
    let (managed, backup) = match backed_up(subject.plan, subject.world) {
        Ok(found) => found,
        Err(obstacle) => {
            return finding(obstacle.status, obstacle.reason).message(obstacle.message);
        }
    };
    let failing = failing_backup(subject.world, managed);
    let next = failing.clone().unwrap_or_else(|| {
        format!(
            "look at kubectl get backups, and at ScheduledBackup {}",
            backup.name
        )
    });
    let last = window(subject.world, backup)
        .and_then(|window| time(window.last_successful_backup_time.as_ref()));
    let since = last.or_else(|| began(subject.world, backup));
    let Some(overdue) = since.and_then(|since| backup.schedule.overdue_after(since)) else {
        return finding(Verdict::Unknown, "NotObserved")
            .message(format!("ObjectStore {} is not there yet", backup.name));
    };
    let Some(last) = last else {
        if overdue > subject.now && failing.is_none() && !subject.had_backup() {
            let mut waiting = finding(Verdict::Unknown, "FirstBackupPending").message(format!(
                "the first base backup of Cluster {} is not there yet",
                managed.name
            ));
            waiting.recheck = Some(overdue);
            return waiting;
        }
        return finding(Verdict::False, "NoBackup").message(format!(
            "there is no base backup of Cluster {}; {next}",
            managed.name
        ));
    };
    let observed = format!("last at {last}");
    if overdue <= subject.now {
        return finding(Verdict::False, "BackupOverdue")
            .observed(observed)
            .since(last)
            .message(format!(
                "the base backup of Cluster {} that was due after {last} is not there; {next}",
                managed.name
            ));
    }
    let mut held = finding(Verdict::True, "BackupMade")
        .observed(observed)
        .since(last);
    held.message = failing;
    held.recheck = Some(overdue);
    held
}

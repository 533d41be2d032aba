//! `BackupRetained`: every point in time within the retention can be restored, or since the database came under backup.

use k8s_openapi::jiff::SignedDuration;

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::backup::{backed_up, began, time, window},
};

const SOURCE: &str = "ObjectStore.status.serverRecoveryWindow";

pub(super) fn judge(subject: &Subject) -> Finding {
    let retention = subject
        .plan
        .backup
        .as_ref()
        .map_or("the retention", |backup| backup.retention.as_str());
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            format!("every point in time of {retention} can be restored"),
            SOURCE,
        )
    };
    let (managed, backup) = match backed_up(subject.plan, subject.world) {
        Ok(found) => found,
        Err(obstacle) => {
            return finding(obstacle.status, obstacle.reason).message(obstacle.message);
        }
    };
    let Some(began) = began(subject.world, backup) else {
        return finding(Verdict::Unknown, "NotObserved")
            .message(format!("ObjectStore {} is not there yet", backup.name));
    };
    // The first backup is made at once; if it fails, the next by the schedule is the first.
    let first_due = backup.schedule.overdue_after(began).unwrap_or(began);
    let first = window(subject.world, backup)
        .and_then(|window| time(window.first_recoverability_point.as_ref()));
    let Some(first) = first else {
        if first_due > subject.now && !subject.had_backup() {
            let mut waiting = finding(Verdict::Unknown, "FirstBackupPending").message(format!(
                "the first base backup of Cluster {} is not there yet",
                managed.name
            ));
            waiting.recheck = Some(first_due);
            return waiting;
        }
        return finding(Verdict::False, "NothingRecoverable").message(format!(
            "the object store holds no base backup of Cluster {}; if it was emptied, make one now with a Backup object, as docs/backup.md shows",
            managed.name
        ));
    };
    let wanted = (subject.now - days(retention)).max(first_due);
    if first > wanted {
        return finding(Verdict::False, "WindowTooShort")
            .observed(format!("from {first}"))
            .since(first)
            .message(format!(
                "Cluster {} can be restored from {first} on, and {retention} are wanted; something deleted older backups, or none were made",
                managed.name
            ));
    }
    finding(Verdict::True, "WindowCovered")
        .observed(format!("from {first}"))
        .since(first)
}

/// The length of a retention such as `30d`. A month is counted as its shortest, so that the policy never asks for more than the
/// plugin keeps.
fn days(retention: &str) -> SignedDuration {
    let (number, unit) = retention.split_at(retention.len().saturating_sub(1));
    let each = match unit {
        "d" => 1,
        "w" => 7,
        _ => 28,
    };
    SignedDuration::from_hours(24 * each * number.parse::<i64>().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_counted_in_days() {
        for (text, expected) in [("30d", 30), ("4w", 28), ("12m", 336), ("", 0)] {
            assert_eq!(
                days(text),
                SignedDuration::from_hours(24 * expected),
                "{text}"
            );
        }
    }
}

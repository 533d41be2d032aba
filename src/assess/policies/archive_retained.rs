//! `ArchiveRetained`: there is a dump for each time that one was due since the database came under backup, up to the number to
//! keep.

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::backup::{backed_up, began, failing_dump},
};

/// Time that a dump may take before its absence is an alarm.
const DUMP: k8s_openapi::jiff::SignedDuration = k8s_openapi::jiff::SignedDuration::from_hours(6);

pub(super) fn judge(subject: &Subject) -> Finding {
    let archive = subject
        .plan
        .backup
        .as_ref()
        .and_then(|backup| backup.archive.as_ref());
    let objective = archive.map_or_else(
        || "dumps are kept".to_owned(),
        |archive| {
            format!(
                "the last {} dumps by the schedule {}",
                archive.keep,
                archive.schedule.text()
            )
        },
    );
    let finding = |status, reason, source: &str| Finding::new(status, reason, &objective, source);
    let (managed, backup) = match backed_up(subject.plan, subject.world) {
        Ok(found) => found,
        Err(obstacle) => {
            return finding(obstacle.status, obstacle.reason, "spec.backup.destination")
                .message(obstacle.message);
        }
    };
    let Some(archive) = archive else {
        return finding(Verdict::False, "NoArchive", "spec.backup.archive")
            .message("no dumps are kept; set backup.archive, or waive the policy");
    };
    let source = "record of the job's pod, CronJob.status";
    let Some(began) = began(subject.world, backup) else {
        return finding(Verdict::Unknown, "NotObserved", source)
            .message(format!("Cluster {} is not there yet", managed.name));
    };
    // One that is being made is not missing yet.
    let due = archive
        .schedule
        .count(began, subject.now - DUMP, archive.keep);
    let dumps = subject
        .database
        .and_then(|database| database.dumps.as_ref());
    let have = dumps.map_or(0, |dumps| dumps.count);
    let newest = dumps.map_or_else(String::new, |dumps| {
        format!(", the newest of {}", dumps.newest)
    });
    let observed = format!("{have} of {due} due{newest}");
    let next_due = archive
        .schedule
        .next_after(subject.now - DUMP)
        .map(|next| next + DUMP);
    let failing = failing_dump(subject.world, &archive.name).map(|said| {
        format!(
            "the last job of CronJob {} made no dump: {said}",
            archive.name
        )
    });
    let by_hand = format!(
        "make one with kubectl create job --from=cronjob/{0} {0}-now",
        archive.name
    );
    if have >= due {
        let reason = if due == 0 {
            "NoneDueYet"
        } else {
            "ArchivesKept"
        };
        let mut held = finding(Verdict::True, reason, source).observed(observed);
        held.message = failing.map(|failing| format!("{failing}; {by_hand}"));
        held.recheck = next_due;
        return held;
    }
    let mut missing = if dumps.is_none() && failing.is_none() {
        finding(Verdict::Unknown, "NotRecorded", source).message(format!(
            "how many dumps there are is told by the next job of CronJob {}; {by_hand}",
            archive.name
        ))
    } else {
        let failing = failing.map_or_else(String::new, |failing| format!("; {failing}"));
        finding(Verdict::False, "ArchivesMissing", source).message(format!(
            "{have} dumps of Cluster {} are kept, and {due} were due{failing}; {by_hand}",
            managed.name
        ))
    };
    missing.observed = Some(observed);
    missing.recheck = next_due;
    missing
}

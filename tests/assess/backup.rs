//! The policies about backups: every verdict and reason, and what they make of the failures of a real object store.
// Over 400 lines: four policies that are read from the same three sources.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use portal_operator::{
    api::status::{ConditionType, PolicyName, PolicyStatus, PortalPlatformStatus, Verdict},
    children::live::{ClusterState, Health, RecoveryWindow},
    observe::{ApiState, Archiving, Pod},
};

use crate::{
    Case, policy_of,
    world::{change, condition},
};

const BACKUP: &str = "backup: {destination: {path: 's3://b/f', credentialsSecretRef: {name: s3}}}";

fn case() -> Case {
    Case::serving(&format!("{{image: a, database: {{}}, {BACKUP}}}"))
}

fn cluster(case: &mut Case, edit: impl FnOnce(&mut ClusterState)) {
    change(&mut case.world, "Cluster", "harbor-db", |child| {
        let Health::Cluster(cluster) = &mut child.health else {
            panic!("a Cluster has another state");
        };
        edit(cluster);
    });
}

fn window(case: &mut Case, edit: impl FnOnce(&mut RecoveryWindow)) {
    change(&mut case.world, "ObjectStore", "harbor-db", |child| {
        let Health::ObjectStore { windows, .. } = &mut child.health else {
            panic!("an ObjectStore has another state");
        };
        edit(windows.values_mut().next().unwrap());
    });
}

fn archiving(case: &mut Case, edit: impl FnOnce(&mut Archiving)) {
    edit(case.world.archiving.as_mut().unwrap());
}

fn says(case: &Case, message: &str) -> PolicyStatus {
    let mut case_with = Case::serving(&format!("{{image: a, database: {{}}, {BACKUP}}}"));
    case_with.world = case.world.clone();
    cluster(&mut case_with, |cluster| {
        cluster.conditions = vec![condition(
            "ContinuousArchiving",
            "False",
            "ContinuousArchivingFailing",
            message,
        )];
    });
    case_with.assert_policy(
        PolicyName::RecoveryPoint,
        Verdict::False,
        "ArchivingFailing",
    )
}

const ALL: [PolicyName; 4] = [
    PolicyName::RecoveryPoint,
    PolicyName::BackupFresh,
    PolicyName::BackupRetained,
    PolicyName::ArchiveRetained,
];

#[test]
fn a_database_that_is_backed_up_meets_every_policy_about_backups() {
    let case = case();
    for (policy, reason) in ALL.into_iter().zip([
        "WithinObjective",
        "BackupMade",
        "WindowCovered",
        "NoneDueYet",
    ]) {
        case.assert_policy(policy, Verdict::True, reason);
    }
    let status = case.assess();
    let database = status.database.unwrap();
    assert_eq!(
        database.recoverable_from.as_deref(),
        Some("2026-11-21T08:01:00Z")
    );
    assert_eq!(
        database.last_backup.as_deref(),
        Some("2026-11-21T08:01:30Z")
    );
    let archived = database.archived.unwrap();
    assert_eq!(archived.until.as_deref(), Some("2026-11-21T11:58:00Z"));
    assert_eq!(archived.timeline, Some(1));
    assert_eq!(
        Some(archived.server_name),
        case.plan.backup.map(|backup| backup.server_name)
    );
}

#[test]
fn without_a_destination_no_policy_about_backups_holds_and_the_lines_to_add_are_named() {
    let case = Case::serving("{image: a, database: {}}");
    for policy in ALL {
        let told = case.assert_policy(policy, Verdict::False, "NoBackupDestination");
        assert!(told.message.unwrap().contains("backup: {destination:"));
    }
    assert_eq!(
        case.condition(ConditionType::Ready).unwrap().status,
        Verdict::True
    );
}

#[test]
fn an_external_database_is_backed_up_by_others_and_none_needs_no_backup() {
    let external = Case::serving(
        "{image: a, database: {mode: External, external: {host: h, credentialsSecretRef: {name: s}}}}",
    );
    let none = Case::serving("{image: a, database: {mode: None}}");
    for policy in ALL {
        external.assert_policy(policy, Verdict::Unknown, "ExternallyManaged");
        assert_eq!(none.policy(policy).reason, "NoDatabase");
        assert_eq!(none.policy(policy).status, Verdict::True);
    }
}

#[test]
fn a_missing_plugin_is_told_and_nothing_else_stops() {
    let mut case = case();
    case.world.apis.insert("ObjectStore", ApiState::Absent);
    let told = case.assert_policy(
        PolicyName::RecoveryPoint,
        Verdict::False,
        "BarmanPluginMissing",
    );
    assert!(told.message.unwrap().contains("Barman Cloud plugin"));
    assert_eq!(
        case.condition(ConditionType::Ready).unwrap().status,
        Verdict::True
    );
}

#[test]
fn the_failures_of_a_store_are_told_with_the_next_step() {
    let case = case();
    let rpc = "rpc error: code = Unknown desc = ";
    for (message, step) in [
        (
            "unexpected failure invoking barman-cloud-wal-archive: exit status 4",
            "look at the credentials",
        ),
        (
            "unexpected failure invoking barman-cloud-wal-archive: exit status 2",
            "does not answer",
        ),
        (
            "unexpected failure invoking barman-cloud-wal-archive: exit status 1",
            "must be its own",
        ),
        (
            "while getting secret s3: secrets \"s3\" not found",
            "credentialsSecretRef",
        ),
        (
            "missing key ACCESS_KEY_ID, inside secret s3",
            "credentialsSecretRef",
        ),
        (
            "unexpected failure invoking barman-cloud-wal-archive: exit status 137",
            "log of the container",
        ),
        ("context canceled", "log of the container"),
    ] {
        let told = says(&case, &format!("{rpc}{message}")).message.unwrap();
        assert!(told.contains(step), "{told}");
        assert!(
            told.contains(message) && !told.contains("rpc error"),
            "{told}"
        );
    }
}

#[test]
fn the_recovery_point_follows_the_samples_and_not_the_conditions() {
    let policy = PolicyName::RecoveryPoint;
    let mut case = case();
    let figure = |case: &Case| case.policy(policy).observed.unwrap();
    assert_eq!(figure(&case), "<15m");

    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T11:40:00Z".parse().unwrap());
    });
    assert_eq!(figure(&case), "<30m");
    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T10:59:00Z".parse().unwrap());
    });
    let missed = case.assert_policy(policy, Verdict::False, "ObjectiveMissed");
    assert_eq!(missed.observed.as_deref(), Some(">1h"));

    // A store that hangs: segments wait, and nothing else is to be seen.
    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T11:58:00Z".parse().unwrap());
        a.answered = Some("2026-11-21T11:59:30Z".parse().unwrap());
        a.stalled = Some("2026-11-21T11:58:20Z".parse().unwrap());
    });
    case.assert_policy(policy, Verdict::False, "ArchivingStalled");
    archiving(&mut case, |a| {
        a.answered = Some("2026-11-21T11:58:40Z".parse().unwrap());
    });
    case.assert_policy(policy, Verdict::True, "WithinObjective");
}

#[test]
fn a_store_that_was_emptied_has_nothing_to_recover_from_however_young_the_database_is() {
    let mut case = case();
    case.portal.status = Some(case.assess_at("2026-11-21T08:10:00Z").status);
    window(&mut case, |window| *window = RecoveryWindow::default());
    let status = case.assess_at("2026-11-21T08:20:00Z").status;
    for (policy, reason) in ALL[..3]
        .iter()
        .zip(["NoBackup", "NoBackup", "NothingRecoverable"])
    {
        let found = policy_of(&status, *policy);
        assert_eq!(
            (found.status, found.reason.as_str()),
            (Verdict::False, reason)
        );
    }
    window(&mut case, |window| window.first_recoverability_point = None);
    case.assert_policy(PolicyName::RecoveryPoint, Verdict::False, "NoBackup");
    let late = case.assess_at("2026-11-23T12:00:00Z").status;
    assert_eq!(
        policy_of(&late, PolicyName::BackupRetained).reason,
        "NothingRecoverable"
    );
}

#[test]
fn a_young_database_waits_for_its_first_backup_and_then_misses_it() {
    let mut case = case();
    window(&mut case, |window| *window = RecoveryWindow::default());
    let reasons = |now: &str| {
        let status = case.assess_at(now).status;
        ALL[..3]
            .iter()
            .map(|policy| {
                let found = policy_of(&status, *policy);
                (found.status, found.reason)
            })
            .collect::<Vec<_>>()
    };
    let pending = (Verdict::Unknown, "FirstBackupPending".to_owned());
    assert_eq!(
        reasons("2026-11-21T08:20:00Z"),
        [pending.clone(), pending.clone(), pending]
    );
    assert_eq!(
        reasons("2026-11-23T12:00:00Z"),
        [
            (Verdict::False, "NoBackup".to_owned()),
            (Verdict::False, "NoBackup".to_owned()),
            (Verdict::False, "NothingRecoverable".to_owned()),
        ]
    );
    cluster(&mut case, |cluster| {
        cluster.conditions.push(condition(
            "LastBackupSucceeded",
            "False",
            "LastBackupFailed",
            "rpc error: code = Unknown desc = unexpected failure invoking barman-cloud-backup: exit status 4",
        ));
    });
    let told = case.assert_policy(PolicyName::BackupFresh, Verdict::False, "NoBackup");
    assert!(told.message.unwrap().contains("look at the credentials"));
}

#[test]
fn what_an_operator_before_found_out_counts_until_this_one_can_know_better() {
    let policy = PolicyName::RecoveryPoint;
    let mut case = case();
    let before = case.assess();
    case.portal.status = Some(before.clone());

    // Not asked yet.
    let known = case.world.archiving.take().unwrap();
    let status = case.assess_at("2026-11-25T12:00:00Z").status;
    assert_eq!(policy_of(&status, policy), policy_of(&before, policy));

    // Asked, but an open segment has not been archived yet, and what was written down is old.
    case.world.archiving = Some(Archiving {
        begun: Some("2026-11-25T12:00:00Z".parse().unwrap()),
        measured: false,
        ..known
    });
    let status = case.assess_at("2026-11-25T12:04:00Z").status;
    assert_eq!(policy_of(&status, policy), policy_of(&before, policy));
    let status = case.assess_at("2026-11-25T13:01:00Z").status;
    assert_eq!(policy_of(&status, policy).reason, "NotObserved");
}

#[test]
fn a_status_is_not_new_because_time_passes() {
    let mut case = case();
    let before = case.assess();
    case.portal.status = Some(before.clone());
    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T12:04:00Z".parse().unwrap());
        a.answered = Some("2026-11-21T12:04:00Z".parse().unwrap());
    });
    assert_eq!(case.assess_at("2026-11-21T12:05:00Z").status, before);
}

#[test]
fn the_verdict_is_looked_at_again_when_it_can_change() {
    let case = case();
    let recheck = case.assess_at("2026-11-21T12:00:00Z").recheck.unwrap();
    let covered: Timestamp = "2026-11-21T11:58:00Z".parse().unwrap();
    assert_eq!(recheck, covered + SignedDuration::from_mins(15));
}

#[test]
fn a_primary_that_does_not_answer_lowers_the_verdict_when_the_bound_is_used_up() {
    let mut case = case();
    archiving(&mut case, |a| a.failure = Some("cannot connect".into()));
    case.assert_policy(PolicyName::RecoveryPoint, Verdict::True, "WithinObjective");
    let late = case.assess_at("2026-11-21T13:00:00Z").status;
    let told = policy_of(&late, PolicyName::RecoveryPoint);
    assert_eq!(
        (told.status, told.reason.as_str()),
        (Verdict::Unknown, "PrimaryNotReachable")
    );
}

#[test]
fn a_gap_after_a_failover_is_told_from_the_first_moment() {
    let mut case = case();
    archiving(&mut case, |a| {
        a.gap = Some("2026-11-21T11:59:00Z".parse().unwrap());
    });
    let held = case.policy(PolicyName::RecoveryPoint);
    assert_eq!(held.status, Verdict::True);
    assert!(held.message.unwrap().contains("failover"));
    let late = case.assess_at("2026-11-21T13:00:00Z").status;
    assert_eq!(
        policy_of(&late, PolicyName::RecoveryPoint).reason,
        "GapInArchive"
    );
}

#[test]
fn base_backups_are_possible_once_every_instance_that_serves_has_the_archiver() {
    let mut case = case();
    case.world.pods.clear();
    let managed = case.plan.database.managed().unwrap().clone();
    let mut possible_with = |archiver: Option<bool>, ready: bool| {
        case.world.pods.push(Arc::new(Pod {
            archiver,
            ready,
            ..Pod::default()
        }));
        case.world.database_facts(&managed).can_back_up
    };
    assert!(!possible_with(None, true));
    assert!(possible_with(Some(true), true));
    // One that does not serve makes no backup.
    assert!(possible_with(Some(false), false));
    assert!(!possible_with(Some(false), true));
}

fn dumped(case: &mut Case, record: &str) {
    case.world.pods.push(Arc::new(Pod {
        name: "harbor-db-archive-29405340-x".into(),
        component: "db-archive".into(),
        record: Some(record.into()),
        ..Pod::default()
    }));
}

fn archive_at(case: &Case, now: &str) -> PolicyStatus {
    policy_of(&case.assess_at(now).status, PolicyName::ArchiveRetained)
}

#[test]
fn a_dump_is_due_for_each_time_of_its_schedule() {
    let mut case = case();
    let later = "2027-02-02T00:00:00Z";
    assert_eq!(archive_at(&case, later).reason, "NotRecorded");

    dumped(
        &mut case,
        r#"{"count":2,"oldest":"2026-12-01T03:00:05Z","newest":"2027-01-01T03:00:05Z","newestBytes":4096}"#,
    );
    let missing = archive_at(&case, later);
    assert_eq!(
        (missing.status, missing.reason.as_str()),
        (Verdict::False, "ArchivesMissing")
    );
    assert!(missing.message.unwrap().contains("kubectl create job"));

    dumped(
        &mut case,
        r#"{"count":3,"oldest":"2026-12-01T03:00:05Z","newest":"2027-02-01T03:00:05Z","newestBytes":4096}"#,
    );
    let kept = archive_at(&case, later);
    assert_eq!(
        (kept.status, kept.reason.as_str()),
        (Verdict::True, "ArchivesKept")
    );
    assert_eq!(
        kept.observed.as_deref(),
        Some("3 of 3 due, the newest of 2027-02-01T03:00:05Z")
    );
}

#[test]
fn a_record_outlives_its_pod_in_status_but_not_the_life_of_its_database() {
    let mut case = case();
    dumped(
        &mut case,
        r#"{"count":3,"oldest":"2026-12-01T03:00:05Z","newest":"2027-02-01T03:00:05Z","newestBytes":4096}"#,
    );
    let now = "2027-02-02T00:00:00Z";
    let mut before: PortalPlatformStatus = case.assess_at(now).status;
    case.world.pods.pop();
    case.portal.status = Some(before.clone());
    assert_eq!(archive_at(&case, now).reason, "ArchivesKept");

    let archived = before.database.as_mut().unwrap().archived.as_mut().unwrap();
    archived.server_name = "harbor-db-of-another-life".into();
    case.portal.status = Some(before);
    assert_eq!(archive_at(&case, now).reason, "NotRecorded");
}

#[test]
fn a_job_that_made_no_dump_is_told_with_its_words() {
    let mut case = case();
    change(&mut case.world, "CronJob", "harbor-db-archive", |child| {
        child.health = Health::CronJob {
            last_schedule: Some("2026-12-01T03:00:00Z".into()),
            last_success: None,
            active: false,
        };
    });
    case.world.pods.push(Arc::new(Pod {
        name: "harbor-db-archive-29405340-x".into(),
        component: "db-archive".into(),
        record: Some("pg_dump: error: permission denied for table t".into()),
        trouble: Some(portal_operator::observe::PodTrouble::Failed("".into())),
        ..Pod::default()
    }));
    let told = archive_at(&case, "2026-12-02T00:00:00Z");
    assert_eq!(told.reason, "ArchivesMissing");
    assert!(
        told.message
            .unwrap()
            .contains("permission denied for table t")
    );
}

#[test]
fn a_window_shorter_than_the_retention_is_told_once_the_database_is_old_enough() {
    let mut case = case();
    let retained = |case: &Case, now: &str| {
        policy_of(&case.assess_at(now).status, PolicyName::BackupRetained).reason
    };
    window(&mut case, |window| {
        window.first_recoverability_point = Some("2026-12-20T00:00:00Z".into());
    });
    assert_eq!(retained(&case, "2026-12-22T00:00:00Z"), "WindowTooShort");
    window(&mut case, |window| {
        window.first_recoverability_point = Some("2026-11-21T09:00:00Z".into());
    });
    assert_eq!(retained(&case, "2026-12-22T00:00:00Z"), "WindowCovered");
}

#[test]
fn a_cluster_that_does_not_archive_yet_proves_nothing() {
    let mut case = case();
    cluster(&mut case, |cluster| cluster.server_name = None);
    case.assert_policy(PolicyName::RecoveryPoint, Verdict::Unknown, "NotObserved");
}

#[test]
fn nor_is_the_status_of_an_objective_that_is_missed() {
    let mut case = case();
    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T10:30:00Z".parse().unwrap());
    });
    let before = case.assess();
    case.portal.status = Some(before.clone());
    archiving(&mut case, |a| {
        a.covered = Some("2026-11-21T10:31:00Z".parse().unwrap());
        a.answered = Some("2026-11-21T12:01:00Z".parse().unwrap());
    });
    assert_eq!(case.assess_at("2026-11-21T12:01:00Z").status, before);
}

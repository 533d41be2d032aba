//! What is kept over time, and when to look again.

use k8s_openapi::jiff::Timestamp;
use portal_operator::{
    api::status::{ConditionType, Enforcement, PolicyName, PortalPlatformStatus, Verdict},
    assess::time_text,
    children::live::Health,
};

use crate::{
    Case, find, policy_of,
    world::{change, change_workload, condition},
};

const TLS: &str = "{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_condition_keeps_its_time_until_its_status_turns() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    let first = case.assess_at("2026-11-21T12:00:00Z").status;
    let time = |status: &PortalPlatformStatus, type_: ConditionType| {
        find(status, type_).unwrap().last_transition_time
    };
    assert_eq!(time(&first, ConditionType::Ready), "2026-11-21T12:00:00Z");

    case.portal.status = Some(first);
    let later = case.assess_at("2026-11-21T13:00:00Z").status;
    assert_eq!(time(&later, ConditionType::Ready), "2026-11-21T12:00:00Z");

    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.available = 1;
    });
    let broken = case.assess_at("2026-11-21T14:00:00Z").status;
    assert_eq!(time(&broken, ConditionType::Ready), "2026-11-21T14:00:00Z");
    assert_eq!(
        time(&broken, ConditionType::Available),
        "2026-11-21T14:00:00Z"
    );
    assert_eq!(
        time(&broken, ConditionType::Exposed),
        "2026-11-21T12:00:00Z"
    );

    // Another reason for the same status is no transition.
    case.portal.status = Some(broken);
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.conditions = vec![condition(
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            "",
        )];
    });
    let stuck = case.assess_at("2026-11-21T15:00:00Z").status;
    assert_eq!(time(&stuck, ConditionType::Ready), "2026-11-21T14:00:00Z");
}

#[test]
fn evidence_keeps_its_time_until_verdict_or_reason_change() {
    let mut case = Case::serving(TLS);
    let since = |case: &Case, now: &str| {
        let policy = policy_of(&case.assess_at(now).status, PolicyName::PodSecurity);
        policy.evidence.unwrap().time
    };
    case.portal.status = Some(case.assess_at("2026-11-21T12:00:00Z").status);
    assert_eq!(since(&case, "2026-11-21T13:00:00Z"), "2026-11-21T12:00:00Z");
    case.world.pod_security = Some("baseline".into());
    assert_eq!(since(&case, "2026-11-21T13:00:00Z"), "2026-11-21T13:00:00Z");
    case.portal.status = Some(case.assess_at("2026-11-21T13:00:00Z").status);
    case.world.pod_security = None;
    assert_eq!(since(&case, "2026-11-21T14:00:00Z"), "2026-11-21T14:00:00Z");
}

#[test]
fn a_second_look_at_the_same_world_gives_the_same_status() {
    let mut case = Case::serving(TLS);
    let first = case.assess_at("2026-11-21T12:00:00Z").status;
    case.portal.status = Some(first.clone());
    assert_eq!(case.assess_at("2026-11-21T12:30:00Z").status, first);
}

#[test]
fn a_certificate_is_looked_at_again_two_weeks_before_its_end() {
    let case = Case::serving(TLS);
    let recheck = case.assess_at("2026-11-21T12:00:00Z").recheck;
    assert_eq!(recheck, Some(time("2027-01-18T00:00:00Z")));
    // Past that moment there is nothing to wait for.
    assert_eq!(case.assess_at("2027-01-18T00:00:00Z").recheck, None);
    let plain = Case::serving("{image: a}");
    assert_eq!(plain.assess_at("2026-11-21T12:00:00Z").recheck, None);
}

#[test]
fn an_autoscaler_at_its_maximum_is_looked_at_again_after_half_an_hour() {
    let mut case = Case::serving(TLS);
    change(
        &mut case.world,
        "HorizontalPodAutoscaler",
        "harbor-app",
        |child| {
            let mut limited = condition("ScalingLimited", "True", "TooManyReplicas", "");
            limited.last_transition_time = Some("2026-11-21T11:50:00Z".into());
            child.health = Health::Autoscaler {
                current: 10,
                desired: 10,
                conditions: vec![
                    condition("ScalingActive", "True", "ValidMetricFound", ""),
                    limited,
                ],
            };
        },
    );
    let recheck = case.assess_at("2026-11-21T12:00:00Z").recheck;
    assert_eq!(recheck, Some(time("2026-11-21T12:20:00Z")));
}

#[test]
fn a_waiver_counts_until_its_end() {
    let spec = "{image: \"a:1\", policies: [{name: ImagePinned, waiver: {reason: signed, until: \"2026-12-01T00:00:00Z\"}}, {name: PodSecurity, waiver: {reason: shared, until: \"2026-11-30T00:00:00Z\"}}]}";
    let mut case = Case::serving(spec);
    case.world.pod_security = Some("baseline".into());
    let at = |now: &str| {
        let assessed = case.assess_at(now);
        let policy = policy_of(&assessed.status, PolicyName::PodSecurity);
        (policy.enforcement, policy.status, assessed.recheck)
    };
    // It is still measured.
    assert_eq!(
        at("2026-11-21T12:00:00Z"),
        (
            Enforcement::Waived,
            Verdict::False,
            Some(time("2026-11-30T00:00:00Z"))
        )
    );
    assert_eq!(
        at("2026-11-30T00:00:00Z"),
        (
            Enforcement::Required,
            Verdict::False,
            Some(time("2026-12-01T00:00:00Z"))
        )
    );
    let compliant = |now: &str| {
        let status = case.assess_at(now).status;
        find(&status, ConditionType::PolicyCompliant)
            .unwrap()
            .message
    };
    assert!(!compliant("2026-11-21T12:00:00Z").contains("PodSecurity"));
    assert!(compliant("2026-11-30T00:00:00Z").contains("PodSecurity"));
}

#[test]
fn a_first_start_that_is_over_stays_over() {
    let spec = "{profile: Staging, preset: Backstage, image: a}";
    let mut case = Case::serving(spec);
    case.portal.status = Some(case.assess());
    case.world.children.clear();
    case.world.pods.clear();
    assert!(case.assess().components[0].started);
    case.portal.status = None;
    assert!(!case.assess().components[0].started);
}

#[test]
fn times_are_whole_seconds() {
    assert_eq!(
        time_text("2026-11-21T12:00:00.987654321Z".parse().unwrap()),
        "2026-11-21T12:00:00Z"
    );
}

//! Which statuses are written, and which transitions are events.

use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::EventType;
use portal_operator::{
    api::status::{ConditionType, PortalPlatformStatus, Verdict},
    publish::{News, events, news, progress_due},
};

use crate::{Case, world::change_workload};

fn serving() -> PortalPlatformStatus {
    Case::serving("{profile: Staging, image: a}").assess()
}

fn set(status: &mut PortalPlatformStatus, type_: ConditionType, verdict: Verdict, reason: &str) {
    let condition = status
        .conditions
        .iter_mut()
        .find(|c| c.type_ == type_)
        .unwrap();
    condition.status = verdict;
    condition.reason = reason.into();
}

fn edited(edit: impl FnOnce(&mut PortalPlatformStatus)) -> PortalPlatformStatus {
    let mut status = serving();
    edit(&mut status);
    status
}

#[test]
fn what_users_wait_for_is_written_at_once_and_numbers_a_little_later() {
    let before = serving();
    assert_eq!(news(&before, &before), News::None);
    for (after, expected) in [
        (edited(|s| s.observed_generation = 4), News::Verdict),
        (edited(|s| s.applied = None), News::Verdict),
        (
            edited(|s| set(s, ConditionType::Ready, Verdict::False, "x")),
            News::Verdict,
        ),
        (
            edited(|s| s.conditions[1].type_ = ConditionType::Stalled),
            News::Verdict,
        ),
        (edited(|s| s.components[0].started = false), News::Verdict),
        (edited(|s| s.components[0].ready = 1), News::Progress),
        (edited(|s| s.available = Some("1/2".into())), News::Progress),
        (
            edited(|s| s.conditions[0].message = "words".into()),
            News::Progress,
        ),
        (
            edited(|s| s.conditions[0].reason = "Word".into()),
            News::Progress,
        ),
        (
            edited(|s| s.policies[0].status = Verdict::False),
            News::Progress,
        ),
        (
            edited(|s| s.url = Some("http://h.test".into())),
            News::Progress,
        ),
    ] {
        assert_eq!(news(&before, &after), expected, "{after:?}");
    }
    assert_eq!(
        news(&PortalPlatformStatus::default(), &before),
        News::Verdict
    );
}

#[test]
fn a_difference_of_times_alone_is_no_news() {
    // Times stay as they are unless what they are about changes, so equal worlds give equal statuses.
    let mut case = Case::serving("{profile: Staging, image: a}");
    let first = case.assess_at("2026-11-21T12:00:00Z").status;
    case.portal.status = Some(first.clone());
    let second = case.assess_at("2026-11-22T12:00:00Z").status;
    assert_eq!(news(&first, &second), News::None);
}

#[test]
fn progress_is_written_once_a_second() {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let last = Some(time("2026-11-21T12:00:00Z"));
    assert_eq!(
        progress_due(last, time("2026-11-21T12:00:00.4Z")),
        Some(time("2026-11-21T12:00:01Z"))
    );
    assert_eq!(progress_due(last, time("2026-11-21T12:00:01Z")), None);
    assert_eq!(progress_due(None, time("2026-11-21T12:00:00Z")), None);
}

fn told(before: &PortalPlatformStatus, after: &PortalPlatformStatus) -> Vec<(bool, String)> {
    events(before, after)
        .into_iter()
        .map(|event| (matches!(event.type_, EventType::Normal), event.reason))
        .collect()
}

#[test]
fn turning_ready_and_getting_stuck_are_events() {
    let ready = serving();
    let new = PortalPlatformStatus::default();
    assert_eq!(told(&new, &ready), [(true, "Ready".to_owned())]);
    assert_eq!(told(&ready, &ready), []);

    // A rollout is no event: it passes.
    let mut rolling = Case::serving("{profile: Staging, image: a}");
    change_workload(&mut rolling.world, "harbor-app", |workload| {
        workload.available = 1;
    });
    let rolling = rolling.assess();
    assert_eq!(told(&ready, &rolling), []);
    let back = [(true, "Ready".to_owned()), (true, "Replicated".to_owned())];
    assert_eq!(told(&rolling, &ready), back);

    let stuck = |reason: &str| {
        let mut status = rolling.clone();
        set(&mut status, ConditionType::Ready, Verdict::False, reason);
        set(
            &mut status,
            ConditionType::Reconciling,
            Verdict::True,
            reason,
        );
        let condition = status
            .conditions
            .iter_mut()
            .find(|c| c.type_ == ConditionType::Reconciling);
        condition.unwrap().type_ = ConditionType::Stalled;
        status
    };
    assert_eq!(
        told(&ready, &stuck("ImagePullFailed")),
        [(false, "ImagePullFailed".to_owned())]
    );
    assert_eq!(
        told(&stuck("ImagePullFailed"), &stuck("ImagePullFailed")),
        []
    );
    assert_eq!(
        told(&stuck("ImagePullFailed"), &stuck("OutOfMemory")),
        [(false, "OutOfMemory".to_owned())]
    );
}

#[test]
fn a_policy_that_turns_is_an_event_once_the_portal_serves() {
    let ready = serving();
    let broken = edited(|status| {
        status.policies[0].status = Verdict::False;
        status.policies[0].message = Some("é".repeat(5000));
    });
    assert_eq!(told(&ready, &broken), [(false, "Replicated".to_owned())]);
    assert_eq!(told(&broken, &ready), [(true, "Replicated".to_owned())]);
    assert!(events(&ready, &broken)[0].note.as_ref().unwrap().len() <= 1000);
    // The first verdict is no turn, and what breaks while pods come up is expected.
    assert_eq!(told(&PortalPlatformStatus::default(), &broken).len(), 1);
    let mut starting = broken.clone();
    set(
        &mut starting,
        ConditionType::Ready,
        Verdict::False,
        "RollingOut",
    );
    assert_eq!(told(&ready, &starting), []);
}

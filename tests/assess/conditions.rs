//! The conditions, and the sentences for what became of writes.

use portal_operator::{
    api::status::{ConditionType, Enforcement, PolicyName, Presence, Verdict},
    assess::invalid,
    error::{Disposition, Failure},
    observe::ApiState,
    outcome::{Done, Outcome},
    plan::SpecProblem,
};

use crate::{
    Case, find,
    world::{change_workload, remove},
};

fn outcome(kind: &'static str, result: Done) -> Outcome {
    Outcome {
        key: (kind, "harbor-app".into()),
        result,
    }
}

#[test]
fn a_portal_that_serves_is_ready_and_says_where() {
    let case = Case::serving(
        "{profile: Staging, image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}",
    );
    let status = case.assess();
    let types: Vec<_> = status
        .conditions
        .iter()
        .map(|c| (c.type_, c.status, c.reason.as_str()))
        .collect();
    assert_eq!(
        types,
        [
            (ConditionType::Ready, Verdict::True, "Serving"),
            (ConditionType::Available, Verdict::True, "MinimumAvailable"),
            (ConditionType::Exposed, Verdict::True, "AddressAssigned"),
            (ConditionType::PolicyCompliant, Verdict::True, "AllHold"),
        ]
    );
    assert_eq!(case.ready().message, "2 pods serve at https://h.test");
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == 3)
    );
    assert_eq!(status.observed_generation, 3);
    assert_eq!(status.url.as_deref(), Some("https://h.test"));
    assert_eq!(status.available.as_deref(), Some("2/2"));
    assert_eq!(status.policies_held.as_deref(), Some("12/13"));
    assert_eq!(status.applied.as_deref(), Some("digest"));
    assert_eq!(status.effective.unwrap().revision, case.plan.revision());
    let component = &status.components[0];
    assert_eq!(
        (component.desired, component.ready, component.updated),
        (2, 2, 2)
    );
    assert_eq!(
        component.zones,
        [("a".to_owned(), 1), ("b".to_owned(), 1)].into()
    );
    assert!(component.started);
}

#[test]
fn a_portal_inside_the_cluster_is_ready_without_address() {
    let case = Case::serving("{profile: Staging, image: a}");
    assert_eq!(case.ready().message, "2 pods serve inside the cluster");
    let exposed = case.condition(ConditionType::Exposed).unwrap();
    assert_eq!(
        (exposed.status, exposed.reason.as_str()),
        (Verdict::False, "NotExposed")
    );
}

#[test]
fn what_became_of_a_write_is_told() {
    let failed = |disposition, reason| {
        Done::Failed(Failure {
            disposition,
            reason,
            message: "words of the server".into(),
        })
    };
    let later = Disposition::Retry { after: None };
    for (outcome, reason, stalled, message) in [
        (
            outcome(
                "Service",
                Done::Refused {
                    manager: "Helm".into(),
                },
            ),
            "ObjectConflict",
            true,
            "Service harbor-app exists and belongs to somebody else (manager: Helm); it was not touched. Delete or rename it, or rename the portal",
        ),
        (
            outcome(
                "Service",
                Done::Waiting {
                    reason: "it is being deleted".into(),
                },
            ),
            "WaitingForDeletion",
            false,
            "Service harbor-app: it is being deleted",
        ),
        (
            outcome("HTTPRoute", Done::Blocked(ApiState::Absent)),
            "IntegrationMissing",
            true,
            "HTTPRoute harbor-app cannot be made: Gateway API is not installed; install its CRDs, or remove exposure.gatewayRef to use an Ingress",
        ),
        (
            outcome("Certificate", Done::Blocked(ApiState::Absent)),
            "IntegrationMissing",
            true,
            "Certificate harbor-app cannot be made: cert-manager is not installed; install it, or set exposure.tls.mode to Secret, Gateway or None",
        ),
        (
            outcome(
                "Service",
                Done::Blocked(ApiState::Blocked("services is forbidden".into())),
            ),
            "NoAccess",
            true,
            "Service harbor-app cannot be managed, since Service objects cannot be read: services is forbidden; grant the operator the rules of its chart",
        ),
        (
            outcome("Deployment", failed(Disposition::UserMustAct, "Forbidden")),
            "Forbidden",
            true,
            "Deployment harbor-app was not written: words of the server; grant the operator the rules of its chart, or look at the admission policy named",
        ),
        (
            outcome(
                "Deployment",
                failed(Disposition::UserMustAct, "QuotaExceeded"),
            ),
            "QuotaExceeded",
            true,
            "Deployment harbor-app was not written: words of the server; raise the ResourceQuota or ask for less",
        ),
        (
            outcome("Deployment", failed(Disposition::UserMustAct, "Refused")),
            "Refused",
            true,
            "Deployment harbor-app was not written: words of the server; correct the field or the policy named",
        ),
        (
            outcome("Deployment", failed(later, "TooManyRequests")),
            "TooManyRequests",
            false,
            "Deployment harbor-app was not written: words of the server; it will be tried again",
        ),
    ] {
        let mut case = Case::serving("{profile: Staging, image: a}");
        case.outcomes = vec![outcome];
        let status = case.assess();
        let ready = find(&status, ConditionType::Ready).unwrap();
        assert_eq!(
            (ready.status, ready.reason.as_str()),
            (Verdict::False, reason)
        );
        assert_eq!(ready.message, message);
        assert_eq!(
            find(&status, ConditionType::Stalled).is_some(),
            stalled,
            "{reason}"
        );
        assert_eq!(
            find(&status, ConditionType::Reconciling).is_some(),
            !stalled,
            "{reason}"
        );
    }
}

#[test]
fn writes_that_went_well_are_not_told() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    case.outcomes = vec![
        outcome("Service", Done::Kept),
        outcome("Deployment", Done::Written),
        outcome("Ingress", Done::Deleted),
    ];
    assert_eq!(case.ready().status, Verdict::True);
}

#[test]
fn the_worst_problem_comes_first_and_the_others_are_counted() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.available = 0;
    });
    case.outcomes = vec![
        outcome("Service", Done::Waiting { reason: "x".into() }),
        outcome(
            "ConfigMap",
            Done::Refused {
                manager: "Helm".into(),
            },
        ),
    ];
    let ready = case.ready();
    assert_eq!(ready.reason, "ObjectConflict");
    assert!(
        ready.message.ends_with("rename the portal (and 2 more)"),
        "{}",
        ready.message
    );
    let status = case.assess();
    assert_eq!(status.conflicts.len(), 1);
    assert_eq!(status.conflicts[0].manager, "Helm");
}

#[test]
fn available_is_about_critical_components() {
    let mut case = Case::serving(
        "{profile: Staging, components: [{name: crane, image: a}, {name: depot, image: a, critical: false}]}",
    );
    let available = |case: &Case| case.condition(ConditionType::Available).unwrap();
    change_workload(&mut case.world, "harbor-depot", |workload| {
        workload.available = 0;
    });
    assert_eq!(available(&case).status, Verdict::True);
    change_workload(&mut case.world, "harbor-crane", |workload| {
        workload.available = 1;
    });
    assert_eq!(available(&case).status, Verdict::False);
    assert_eq!(
        available(&case).message,
        "Deployment harbor-crane: 1 pods available, at least 2 are wanted"
    );
}

#[test]
fn compliance_is_the_conjunction_of_the_required_policies_and_does_not_gate_ready() {
    let compliant = |case: &Case| case.condition(ConditionType::PolicyCompliant).unwrap();
    let mut case =
        Case::serving("{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}");
    assert_eq!(compliant(&case).message, "all 11 required policies hold");
    case.world.pod_security = None;
    assert_eq!(compliant(&case).status, Verdict::Unknown);
    assert_eq!(compliant(&case).reason, "EvidenceMissing");
    assert!(
        compliant(&case)
            .message
            .contains("PodSecurity (NoNamespaceAccess)")
    );
    remove(&mut case.world, "NetworkPolicy", "harbor-app");
    assert_eq!(compliant(&case).status, Verdict::False);
    assert_eq!(compliant(&case).reason, "PolicyBroken");
    assert!(
        compliant(&case)
            .message
            .contains("NetworkRestricted (PolicyMissing)")
    );
    assert_eq!(case.ready().status, Verdict::True);
    let development = Case::serving("{profile: Development, image: a}");
    assert_eq!(
        compliant(&development).message,
        "the profile requires no policy"
    );
    let policies = development.assess().policies;
    assert!(
        policies
            .iter()
            .all(|policy| policy.enforcement == Enforcement::Advisory)
    );
    assert_eq!(policies.last().unwrap().name, PolicyName::ConnectionBudget);
}

#[test]
fn a_spec_that_cannot_be_carried_out_is_stalled_and_nothing_known_is_lost() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    let before = case.assess();
    case.portal.status = Some(before.clone());
    case.portal.metadata.generation = Some(4);
    let problems =
        [("spec.a", "is wrong"), ("spec.b", "too")].map(|(field, message)| SpecProblem {
            field: field.into(),
            message: message.into(),
        });
    let now = "2026-11-21T13:00:00Z".parse().unwrap();
    let status = invalid(&case.portal, &problems, now).status;
    assert_eq!(status.observed_generation, 4);
    let ready = find(&status, ConditionType::Ready).unwrap();
    assert_eq!(
        (
            ready.status,
            ready.reason.as_str(),
            ready.observed_generation
        ),
        (Verdict::False, "InvalidSpec", 4)
    );
    assert_eq!(
        ready.message,
        "spec.a: is wrong; spec.b: too. Running objects are left as they are"
    );
    assert!(find(&status, ConditionType::Stalled).is_some());
    assert_eq!(status.components, before.components);
    assert_eq!(status.applied, before.applied);
}

#[test]
fn suspended_says_so() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    case.plan.suspended = true;
    assert_eq!(case.ready().reason, "Suspended");
    assert_eq!(
        case.ready().message,
        "2 pods serve inside the cluster; spec.suspend is true, so nothing is changed"
    );
}

#[test]
fn integrations_are_shown() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    case.world.apis.insert("HTTPRoute", ApiState::Absent);
    let integrations = case.assess().integrations.unwrap();
    assert_eq!(integrations.gateway_api, Presence::Absent);
    assert_eq!(integrations.cert_manager, Presence::Present);
}

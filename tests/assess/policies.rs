//! The policies about pods, autoscalers and budgets: every verdict and reason.

use std::sync::Arc;

use portal_operator::{
    api::status::{PolicyName, Verdict},
    children::live::Health,
};

use crate::{
    Case,
    world::{change, change_nodes, change_pod, change_workload, condition, remove},
};

const NAME: &str = "harbor-app";

fn production() -> Case {
    Case::serving("{image: a, host: h.test, exposure: {tls: {issuerRef: {name: i}}}}")
}

#[test]
fn replicated() {
    let policy = PolicyName::Replicated;
    let mut case = production();
    let held = case.assert_policy(policy, Verdict::True, "MinimumAvailable");
    assert_eq!(held.observed.as_deref(), Some("app 3/3"));
    change_workload(&mut case.world, NAME, |workload| workload.available = 2);
    let broken = case.assert_policy(policy, Verdict::False, "BelowMinimum");
    assert_eq!(broken.observed.as_deref(), Some("app 2/3"));
    remove(&mut case.world, "Deployment", NAME);
    case.assert_policy(policy, Verdict::False, "DeploymentMissing");
    let case = Case::serving("{components: [{name: a, image: a, critical: false}]}");
    case.assert_policy(policy, Verdict::True, "NothingCritical");
}

#[test]
fn zone_redundant() {
    let policy = PolicyName::ZoneRedundant;
    let mut case = production();
    let held = case.assert_policy(policy, Verdict::True, "SpreadOverZones");
    assert_eq!(held.observed.as_deref(), Some("app a=1 b=1 c=1"));

    // Two pods in one zone and none in another.
    change_pod(&mut case.world, 1, |pod| pod.node = Some("a2".into()));
    let broken = case.assert_policy(policy, Verdict::False, "Skewed");
    assert_eq!(broken.observed.as_deref(), Some("app a=2 b=0 c=1"));

    change_pod(&mut case.world, 2, |pod| pod.node = Some("a1".into()));
    case.assert_policy(policy, Verdict::False, "OneZone");

    change_pod(&mut case.world, 1, |pod| pod.ready = false);
    change_pod(&mut case.world, 2, |pod| pod.ready = false);
    case.assert_policy(policy, Verdict::False, "TooFewPods");

    change_nodes(&mut case.world, |nodes| {
        for (name, node) in nodes {
            node.usable = name.starts_with('a');
        }
    });
    let broken = case.assert_policy(policy, Verdict::False, "TooFewZones");
    assert!(broken.message.unwrap().contains("in 1 zone"));

    change_nodes(&mut case.world, |nodes| {
        for node in nodes.values_mut() {
            node.zone = None;
        }
    });
    case.assert_policy(policy, Verdict::Unknown, "NoZoneLabels");
    case.world.nodes = None;
    case.assert_policy(policy, Verdict::Unknown, "NoNodeAccess");
}

#[test]
fn zones_that_the_pods_cannot_use_do_not_count() {
    let spec = "{components: [{name: app, image: a, placement: {nodeSelector: {disk: fast}}}]}";
    let mut case = Case::serving(spec);
    change_nodes(&mut case.world, |nodes| {
        for (name, node) in nodes {
            if !name.starts_with('c') {
                node.labels.insert("disk".into(), "fast".into());
            }
        }
    });
    change_pod(&mut case.world, 2, |pod| pod.node = Some("a2".into()));
    let held = case.assert_policy(PolicyName::ZoneRedundant, Verdict::True, "SpreadOverZones");
    assert_eq!(held.observed.as_deref(), Some("app a=2 b=1"));
}

#[test]
fn disruption_protected() {
    let policy = PolicyName::DisruptionProtected;
    let mut case = production();
    let held = case.assert_policy(policy, Verdict::True, "DisruptionsAllowed");
    assert_eq!(held.observed.as_deref(), Some("app 1"));
    let budget = |observed_generation, allowed| Health::Budget {
        observed_generation,
        allowed,
        healthy: 2,
        desired: 2,
        expected: 3,
    };
    change(&mut case.world, "PodDisruptionBudget", NAME, |child| {
        child.health = budget(1, 0);
    });
    case.assert_policy(policy, Verdict::False, "NoDisruptionAllowed");
    change(&mut case.world, "PodDisruptionBudget", NAME, |child| {
        child.health = budget(0, 1);
    });
    case.assert_policy(policy, Verdict::Unknown, "NotObserved");
    remove(&mut case.world, "PodDisruptionBudget", NAME);
    case.assert_policy(policy, Verdict::False, "BudgetMissing");
    let single = Case::serving("{profile: Development, image: a}");
    single.assert_policy(policy, Verdict::False, "SingleReplica");
    let case =
        Case::serving("{profile: Development, components: [{name: a, image: a, critical: false}]}");
    case.assert_policy(policy, Verdict::True, "DisruptionsAllowed");
}

fn autoscaler(case: &mut Case, conditions: Vec<portal_operator::children::live::LiveCondition>) {
    change(&mut case.world, "HorizontalPodAutoscaler", NAME, |child| {
        child.health = Health::Autoscaler {
            current: 10,
            desired: 10,
            conditions,
        };
    });
}

#[test]
fn autoscaling() {
    let policy = PolicyName::Autoscaling;
    let mut case = Case::serving(
        "{components: [{name: app, image: a, scaling: {minReplicas: 3, maxReplicas: 6}}]}",
    );
    let held = case.assert_policy(policy, Verdict::True, "ScalingActive");
    assert_eq!(held.observed.as_deref(), Some("app 3 of 3-6"));

    autoscaler(&mut case, vec![]);
    case.assert_policy(policy, Verdict::Unknown, "NotObserved");

    let active = |status, reason| condition("ScalingActive", status, reason, "words");
    autoscaler(&mut case, vec![active("False", "FailedGetResourceMetric")]);
    let broken = case.assert_policy(policy, Verdict::False, "NoMetrics");
    assert!(
        broken
            .message
            .unwrap()
            .contains("FailedGetResourceMetric: words")
    );

    let limited = |reason, since: &str| {
        let mut limited = condition("ScalingLimited", "True", reason, "");
        limited.last_transition_time = Some(since.into());
        vec![active("True", "ValidMetricFound"), limited]
    };
    // Now is 12:00.
    autoscaler(
        &mut case,
        limited("TooManyReplicas", "2026-11-21T11:29:59Z"),
    );
    case.assert_policy(policy, Verdict::False, "AtMaximum");
    autoscaler(
        &mut case,
        limited("TooManyReplicas", "2026-11-21T11:30:01Z"),
    );
    case.assert_policy(policy, Verdict::True, "ScalingActive");
    autoscaler(&mut case, limited("TooFewReplicas", "2026-11-21T09:00:00Z"));
    case.assert_policy(policy, Verdict::True, "ScalingActive");

    case.plan.components[0].first_start = true;
    case.assert_policy(policy, Verdict::Unknown, "FirstStart");
    case.plan.components[0].first_start = false;
    remove(&mut case.world, "HorizontalPodAutoscaler", NAME);
    case.assert_policy(policy, Verdict::False, "AutoscalerMissing");
    let fixed = Case::serving("{profile: Development, image: a}");
    fixed.assert_policy(policy, Verdict::False, "NotAutoscaled");
}

#[test]
fn an_autoscaler_that_can_want_more_pods_than_there_are_nodes_is_told_beforehand() {
    let policy = production().policy(PolicyName::Autoscaling);
    assert_eq!(policy.status, Verdict::True);
    assert_eq!(
        policy.message.as_deref(),
        Some(
            "Deployment harbor-app may grow to 10 pods, one on each node, and 6 nodes can take them; add nodes, lower maxReplicas, or set placement.spread.nodes: Preferred"
        )
    );
}

#[test]
fn pod_security() {
    let policy = PolicyName::PodSecurity;
    for (profile, level, status, reason) in [
        ("Production", Some("restricted"), Verdict::True, "Enforced"),
        (
            "Production",
            Some("baseline"),
            Verdict::False,
            "NotEnforced",
        ),
        ("Production", Some(""), Verdict::False, "NotEnforced"),
        ("Production", None, Verdict::Unknown, "NoNamespaceAccess"),
        ("Ephemeral", Some("baseline"), Verdict::False, "NotEnforced"),
        ("Development", Some("baseline"), Verdict::True, "Enforced"),
        ("Development", Some("restricted"), Verdict::True, "Enforced"),
        (
            "Development",
            Some("privileged"),
            Verdict::False,
            "NotEnforced",
        ),
    ] {
        let mut case = Case::serving(&format!("{{profile: {profile}, image: a}}"));
        case.world.pod_security = level.map(Into::into);
        let found = case.assert_policy(policy, status, reason);
        if status == Verdict::False {
            let expected = if profile == "Development" {
                "baseline"
            } else {
                "restricted"
            };
            assert!(found.message.unwrap().ends_with(&format!(
                "run: kubectl label namespace docks pod-security.kubernetes.io/enforce={expected}"
            )));
        }
    }
}

#[test]
fn image_pinned() {
    let policy = PolicyName::ImagePinned;
    let digest = format!("a@sha256:{}", "0".repeat(64));
    Case::serving(&format!("{{image: \"{digest}\"}}")).assert_policy(
        policy,
        Verdict::True,
        "ByDigest",
    );
    let case = Case::serving(&format!(
        "{{components: [{{name: crane, image: \"{digest}\"}}, {{name: depot, image: \"a:1\"}}]}}"
    ));
    let broken = case.assert_policy(policy, Verdict::False, "ByTag");
    assert!(broken.message.unwrap().contains("depot"));
}

#[test]
fn network_restricted() {
    let policy = PolicyName::NetworkRestricted;
    let mut case = production();
    let held = case.assert_policy(policy, Verdict::True, "AllSelected");
    assert_eq!(held.observed.as_deref(), Some("3 pods"));
    let mut stray = (*case.world.pods[0]).clone();
    (stray.name, stray.component) = ("harbor-old-0".into(), "old".into());
    case.world.pods.push(Arc::new(stray));
    case.assert_policy(policy, Verdict::False, "PodNotSelected");
    change_pod(&mut case.world, 3, |pod| pod.deleting = true);
    case.assert_policy(policy, Verdict::True, "AllSelected");
    change(&mut case.world, "NetworkPolicy", NAME, |child| {
        child.deleting = true;
    });
    case.assert_policy(policy, Verdict::False, "PolicyMissing");
    remove(&mut case.world, "NetworkPolicy", NAME);
    case.assert_policy(policy, Verdict::False, "PolicyMissing");
    let open = Case::serving("{image: a, network: {policy: Open}}");
    open.assert_policy(policy, Verdict::False, "PolicyOpen");
}

#[test]
fn transport_secure() {
    let policy = PolicyName::TransportSecure;
    for (exposure, status, reason) in [
        ("{mode: None}", Verdict::True, "NotExposed"),
        ("{}", Verdict::False, "PlainHTTP"),
        (
            "{gatewayRef: {name: g}}",
            Verdict::Unknown,
            "CertificateAtGateway",
        ),
        (
            "{tls: {secretRef: {name: s}}}",
            Verdict::Unknown,
            "CertificateInSecret",
        ),
        (
            "{tls: {issuerRef: {name: i}}}",
            Verdict::True,
            "CertificateValid",
        ),
    ] {
        let case = Case::serving(&format!("{{image: a, host: h.test, exposure: {exposure}}}"));
        case.assert_policy(policy, status, reason);
    }
    let ready = || condition("Ready", "True", "Ready", "");
    let broken = || condition("Ready", "False", "Failed", "words");
    // Now is 12:00 on 21 November; two weeks later is 5 December.
    for (not_after, conditions, status, reason) in [
        (
            Some("2026-12-05T12:00:01Z"),
            vec![ready()],
            Verdict::True,
            "CertificateValid",
        ),
        (
            Some("2026-12-05T12:00:00Z"),
            vec![ready()],
            Verdict::False,
            "CertificateExpiring",
        ),
        (
            Some("2027-12-05T12:00:00Z"),
            vec![broken()],
            Verdict::False,
            "CertificateNotReady",
        ),
        (None, vec![broken()], Verdict::False, "CertificateNotReady"),
        (None, vec![], Verdict::Unknown, "NotObserved"),
    ] {
        let mut case = production();
        change(&mut case.world, "Certificate", "harbor", |child| {
            child.health = Health::Certificate {
                not_after: not_after.map(Into::into),
                conditions,
            };
        });
        case.assert_policy(policy, status, reason);
    }
    let mut case = production();
    remove(&mut case.world, "Certificate", "harbor");
    case.assert_policy(policy, Verdict::False, "CertificateMissing");
}

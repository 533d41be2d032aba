//! The rows of the profiles.

use portal_operator::{
    api::{
        spec::{Profile, SpreadMode},
        status::PolicyName,
    },
    plan::{Autoscaling, Replicas, profile},
};
use serde_json::json;

use crate::offline::{find, object, plan_of};

fn autoscaled(min: i32, max: i32) -> Replicas {
    Replicas::Autoscaled(Autoscaling {
        min,
        max,
        cpu: 70,
        memory: 80,
        behavior: None,
    })
}

#[test]
fn a_profile_sets_replicas_spread_budget_and_network() {
    for (profile, replicas, spread, budget, restricted) in [
        (
            "Development",
            Replicas::Fixed(1),
            SpreadMode::None,
            false,
            false,
        ),
        (
            "Staging",
            autoscaled(2, 4),
            SpreadMode::Preferred,
            true,
            true,
        ),
        (
            "Production",
            autoscaled(3, 10),
            SpreadMode::Required,
            true,
            true,
        ),
        (
            "Ephemeral",
            Replicas::Fixed(1),
            SpreadMode::None,
            false,
            true,
        ),
    ] {
        let plan = plan_of(&format!("{{profile: {profile}, image: a}}"));
        let component = &plan.components[0];
        assert_eq!(component.replicas, replicas, "{profile}");
        assert_eq!(component.placement.zones, spread, "{profile}");
        assert_eq!(component.placement.nodes, spread, "{profile}");
        assert_eq!(component.disruption_budget, budget, "{profile}");
        assert_eq!(component.isolation.is_some(), restricted, "{profile}");
        let has = |kind| find(&plan, kind, "harbor-app").is_some();
        let is_autoscaled = matches!(replicas, Replicas::Autoscaled(_));
        assert_eq!(has("HorizontalPodAutoscaler"), is_autoscaled, "{profile}");
        assert_eq!(has("PodDisruptionBudget"), budget, "{profile}");
        assert_eq!(has("NetworkPolicy"), restricted, "{profile}");
    }
}

#[test]
fn the_default_profile_is_production() {
    assert_eq!(plan_of("{image: a}").profile, Profile::Production);
}

#[test]
fn a_profile_requires_policies() {
    use PolicyName::{
        ArchiveRetained, Autoscaling, BackupFresh, BackupRetained, DisruptionProtected,
        NetworkRestricted, PodSecurity, RecoveryPoint, Replicated, TransportSecure, ZoneRedundant,
    };
    let required = |profile| profile::defaults(profile).required;
    assert_eq!(required(Profile::Development), []);
    assert_eq!(required(Profile::Staging), [Replicated, PodSecurity]);
    assert_eq!(required(Profile::Ephemeral), [PodSecurity]);
    assert_eq!(
        required(Profile::Production),
        [
            Replicated,
            ZoneRedundant,
            DisruptionProtected,
            Autoscaling,
            NetworkRestricted,
            TransportSecure,
            PodSecurity,
            RecoveryPoint,
            BackupFresh,
            BackupRetained,
            ArchiveRetained,
        ]
    );
}

#[test]
fn a_size_sets_requests_and_the_memory_limit_but_no_cpu_limit() {
    for (size, cpu, memory, limit) in [
        ("Small", "250m", "512Mi", "1Gi"),
        ("Medium", "500m", "1Gi", "2Gi"),
        ("Large", "1", "2Gi", "4Gi"),
    ] {
        let plan = plan_of(&format!("{{size: {size}, image: a}}"));
        let deployment = object(&plan, "Deployment", "harbor-app");
        assert_eq!(
            deployment["spec"]["template"]["spec"]["containers"][0]["resources"],
            json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}),
            "{size}"
        );
    }
    let medium = plan_of("{image: a}").components[0].resources.clone();
    let same = plan_of("{size: Medium, image: a}").components[0]
        .resources
        .clone();
    assert_eq!(medium, same);
}

#[test]
fn resources_of_a_component_replace_those_of_the_size_one_by_one() {
    for (own, resources) in [
        (
            "{requests: {cpu: 2}}",
            json!({"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}),
        ),
        (
            "{limits: {cpu: 300m, memory: 512Mi}}",
            json!({"requests": {"cpu": "300m", "memory": "512Mi"}, "limits": {"cpu": "300m", "memory": "512Mi"}}),
        ),
        (
            "{requests: {memory: 3Gi}}",
            json!({"requests": {"cpu": "500m", "memory": "3Gi"}, "limits": {"memory": "3Gi"}}),
        ),
    ] {
        let plan = plan_of(&format!(
            "{{components: [{{name: a, image: a, resources: {own}}}]}}"
        ));
        assert_eq!(
            serde_json::to_value(&plan.components[0].resources).unwrap(),
            resources,
            "{own}"
        );
    }
}

#[test]
fn two_pods_are_worth_a_budget_in_every_profile_and_one_is_not() {
    for (scaling, budget) in [
        ("{minReplicas: 2}", true),
        ("{minReplicas: 2, maxReplicas: 2}", true),
        ("{mode: Manual, minReplicas: 2}", true),
        ("{minReplicas: 1, maxReplicas: 9}", false),
    ] {
        let spec = format!(
            "{{profile: Development, components: [{{name: a, image: a, scaling: {scaling}}}]}}"
        );
        assert_eq!(
            plan_of(&spec).components[0].disruption_budget,
            budget,
            "{scaling}"
        );
    }
    let budget = object(&plan_of("{image: a}"), "PodDisruptionBudget", "harbor-app");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    assert_eq!(
        budget["spec"]["selector"]["matchLabels"],
        json!({"portalplatform.dev/name": "harbor", "portalplatform.dev/component": "app"})
    );
}

#[test]
fn the_autoscaler_owns_the_number_of_pods_of_an_autoscaled_deployment() {
    let plan = plan_of("{image: a}");
    assert!(
        object(&plan, "Deployment", "harbor-app")["spec"]
            .get("replicas")
            .is_none()
    );
    let autoscaler = object(&plan, "HorizontalPodAutoscaler", "harbor-app");
    assert_eq!(autoscaler["spec"]["scaleTargetRef"]["name"], "harbor-app");
    let fixed = plan_of("{profile: Development, image: a}");
    assert_eq!(
        object(&fixed, "Deployment", "harbor-app")["spec"]["replicas"],
        1
    );
}

//! The pods: environment, placement, security.

use serde_json::{Value, json};

use crate::offline::{object, plan_of};

fn pod(component: &str) -> Value {
    let plan = plan_of(&format!(
        "{{profile: Ephemeral, components: [{{name: a, image: a{component}}}]}}"
    ));
    object(&plan, "Deployment", "harbor-a")["spec"]["template"]["spec"].clone()
}

#[test]
fn the_users_variables_win_over_the_presets() {
    let pod = pod(
        ", env: [{name: PORT, value: \"9\"}], envFrom: [{secretRef: {name: first}}, {configMapRef: {name: second}, prefix: P_}]",
    );
    let container = &pod["containers"][0];
    // Of envFrom the last source wins, and env wins over all: so the operator's own ConfigMap comes first.
    assert_eq!(
        container["envFrom"],
        json!([
            {"configMapRef": {"name": "harbor-a"}},
            {"secretRef": {"name": "first"}},
            {"configMapRef": {"name": "second"}, "prefix": "P_"},
        ])
    );
    assert_eq!(container["env"], json!([{"name": "PORT", "value": "9"}]));
}

#[test]
fn components_know_each_others_address() {
    let plan = plan_of(
        "{host: h.test, components: [{name: web-ui, image: a, path: /}, {name: api, image: a}]}",
    );
    let environment = |index: usize| plan.components[index].environment.clone();
    assert_eq!(environment(0)["API_URL"], "http://harbor-api");
    assert_eq!(environment(1)["WEB_UI_URL"], "http://harbor-web-ui");
    assert!(!environment(0).contains_key("WEB_UI_URL"));
    assert_eq!(environment(0)["PORTAL_URL"], "http://h.test");
}

#[test]
fn spot_nodes_are_preferred_and_their_taint_is_tolerated() {
    let pod = pod(
        ", critical: false, placement: {capacity: Spot, tolerations: [{key: own, operator: Exists}]}",
    );
    assert_eq!(
        pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["preference"],
        json!({"matchExpressions": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]}]})
    );
    assert_eq!(
        pod["tolerations"],
        json!([
            {"key": "own", "operator": "Exists"},
            {"key": "karpenter.sh/capacity-type", "operator": "Equal", "value": "spot", "effect": "NoSchedule"},
        ])
    );
    assert_eq!(self::pod("").get("tolerations"), None);
    assert_eq!(self::pod("").get("affinity"), None);
}

#[test]
fn each_way_to_spread_gives_its_constraint() {
    for (mode, zones, nodes) in [
        (
            "Required",
            Some("DoNotSchedule"),
            Some("requiredDuringSchedulingIgnoredDuringExecution"),
        ),
        (
            "Preferred",
            Some("ScheduleAnyway"),
            Some("preferredDuringSchedulingIgnoredDuringExecution"),
        ),
        ("None", None, None),
    ] {
        let pod = pod(&format!(
            ", placement: {{spread: {{zones: {mode}, nodes: {mode}}}}}"
        ));
        let constraint = &pod["topologySpreadConstraints"][0];
        assert_eq!(constraint["whenUnsatisfiable"].as_str(), zones, "{mode}");
        let anti = &pod["affinity"]["podAntiAffinity"];
        assert_eq!(
            anti.as_object()
                .and_then(|a| a.keys().next())
                .map(String::as_str),
            nodes,
            "{mode}"
        );
        if mode == "None" {
            continue;
        }
        assert_eq!(constraint["maxSkew"], 1);
        assert_eq!(constraint["topologyKey"], "topology.kubernetes.io/zone");
        // Without it a rollout on as many nodes as pods could never place the new pod.
        assert_eq!(constraint["matchLabelKeys"], json!(["pod-template-hash"]));
        let text = anti.to_string();
        assert!(text.contains("kubernetes.io/hostname") && text.contains("pod-template-hash"));
    }
}

/// Every pod passes the level `restricted` of Pod Security.
#[test]
fn pods_are_restricted_in_every_profile() {
    for profile in ["Development", "Staging", "Production", "Ephemeral"] {
        for preset in ["Backstage", "Generic"] {
            let plan = plan_of(&format!(
                "{{profile: {profile}, preset: {preset}, image: a}}"
            ));
            let pod = object(&plan, "Deployment", "harbor-app")["spec"]["template"]["spec"].clone();
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                "RuntimeDefault"
            );
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(
                pod["containers"][0]["securityContext"],
                json!({
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                })
            );
            for forbidden in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
                assert_eq!(pod.get(forbidden), None);
            }
        }
    }
}

#[test]
fn a_generic_program_is_drained_before_it_is_told_to_end() {
    let pod = pod("");
    let seconds = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        .as_i64()
        .unwrap();
    assert!(0 < seconds && seconds < pod["terminationGracePeriodSeconds"].as_i64().unwrap());
}

#[test]
fn rollouts_replace_one_pod_at_a_time_without_a_gap() {
    let deployment = object(&plan_of("{image: a}"), "Deployment", "harbor-app");
    assert_eq!(
        deployment["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
}

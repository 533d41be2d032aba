//! The Helm chart: what it grants is what the code uses, and what it starts is as safe as a portal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::LazyLock,
};

use clap::CommandFactory;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use portal_operator::{children::REGISTRY, settings::CommandLine};
use serde::Deserialize;
use serde_json::{Value, json};

const CHART: &str = "charts/portal-operator";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn testbed(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(root().join("tests/cluster/testbed"))
        .args(arguments)
        .output()
        .unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// Helm, as `testbed` builds it.
static HELM: LazyLock<String> = LazyLock::new(|| {
    testbed(&["bin", "helm"])
        .or_else(|_| testbed(&["build", "helm"]).and_then(|_| testbed(&["bin", "helm"])))
        .unwrap_or_else(|error| {
            panic!("these tests need helm, which testbed could not build: {error}")
        })
});

/// Renders the chart with values, or tells what helm says against them.
fn try_template(values: &[&str]) -> Result<Vec<Value>, String> {
    let mut helm = Command::new(&*HELM);
    helm.args(["template", "portal-operator", CHART, "--namespace", "ops"]);
    for value in values {
        let flag = if value.contains(['[', '{']) && value.contains('"') {
            "--set-json"
        } else {
            "--set"
        };
        helm.args([flag, value]);
    }
    let output = helm.current_dir(root()).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    Ok(serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| !object.is_null())
        .collect())
}

fn template(values: &[&str]) -> Vec<Value> {
    try_template(values).unwrap_or_else(|error| panic!("{values:?}: {error}"))
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == kind)
        .collect()
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    of_kind(objects, kind)
        .into_iter()
        .find(|object| object["metadata"]["name"] == name)
        .unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

/// Verbs by group, resource and names.
type Grants = BTreeMap<(String, String, String), BTreeSet<String>>;

fn words(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

fn grants(role: &Value) -> Grants {
    let mut grants = Grants::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                let key = (
                    group.clone(),
                    resource,
                    words(&rule["resourceNames"]).join(" "),
                );
                for verb in words(&rule["verbs"]) {
                    let is_new = grants.entry(key.clone()).or_default().insert(verb.clone());
                    assert!(is_new, "{key:?} {verb} is granted twice");
                }
            }
        }
    }
    grants
}

fn add(grants: &mut Grants, group: &str, resource: &str, verbs: &[&str]) {
    let key = (group.to_owned(), resource.to_owned(), String::new());
    grants.insert(key, verbs.iter().map(|verb| (*verb).to_owned()).collect());
}

/// What the operator does in a namespace that it watches.
fn used() -> Grants {
    let mut used = Grants::new();
    for child in REGISTRY {
        let kind = child.kind();
        add(&mut used, kind.group, kind.plural, &kind.verbs());
    }
    add(
        &mut used,
        "portalplatform.dev",
        "portalplatforms",
        &["watch"],
    );
    add(
        &mut used,
        "portalplatform.dev",
        "portalplatforms/status",
        &["patch"],
    );
    add(&mut used, "", "pods", &["watch"]);
    add(&mut used, "", "persistentvolumeclaims", &["watch"]);
    add(&mut used, "events.k8s.io", "events", &["create", "patch"]);
    used
}

#[test]
fn the_cluster_role_grants_what_the_registry_uses_and_what_is_read_of_the_cluster() {
    let mut used = used();
    add(&mut used, "", "nodes", &["watch"]);
    add(&mut used, "", "namespaces", &["watch"]);
    add(
        &mut used,
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        &["watch"],
    );
    let objects = template(&[]);
    assert_eq!(
        grants(named(&objects, "ClusterRole", "portal-operator")),
        used
    );
    let binding = named(&objects, "ClusterRoleBinding", "portal-operator");
    assert_eq!(binding["subjects"][0]["namespace"], "ops");
    let without_nodes = template(&["rbac.nodes=false"]);
    used.retain(|(_, resource, _), _| resource != "nodes");
    assert_eq!(
        grants(named(&without_nodes, "ClusterRole", "portal-operator")),
        used
    );
}

#[test]
fn in_namespaced_mode_there_is_a_role_in_each_namespace_and_no_cluster_role() {
    let objects = template(&["watchNamespaces={a,b}"]);
    assert!(of_kind(&objects, "ClusterRole").is_empty());
    assert!(of_kind(&objects, "ClusterRoleBinding").is_empty());
    let mut namespaces = Vec::new();
    for role in of_kind(&objects, "Role") {
        if role["metadata"]["name"] == "portal-operator" {
            assert_eq!(grants(role), used());
            namespaces.push(role["metadata"]["namespace"].as_str().unwrap());
        }
    }
    assert_eq!(namespaces, ["a", "b"]);
    let environment = environment(&objects);
    assert_eq!(environment["PORTAL_OPERATOR_WATCH_NAMESPACES"], "a,b");
    assert_eq!(environment["PORTAL_OPERATOR_NODES"], "false");
}

#[test]
fn the_lease_is_held_in_the_operators_own_namespace() {
    let objects = template(&[]);
    let role = named(&objects, "Role", "portal-operator-leader-election");
    assert_eq!(role["metadata"]["namespace"], "ops");
    let key = |names: &str| ("coordination.k8s.io".into(), "leases".into(), names.into());
    let verbs = |verbs: &[&str]| verbs.iter().map(|verb| (*verb).to_owned()).collect();
    assert_eq!(
        grants(role),
        Grants::from([
            (key(""), verbs(&["create"])),
            (key("portal-operator"), verbs(&["get", "update", "watch"])),
        ])
    );
    let alone = template(&["leaderElection.enabled=false", "replicas=1"]);
    assert!(of_kind(&alone, "Role").is_empty());
    assert_eq!(
        named(&alone, "Deployment", "portal-operator")["spec"]["strategy"]["type"],
        "Recreate"
    );
    assert!(try_template(&["leaderElection.enabled=false"]).is_err());
}

#[test]
fn secrets_are_granted_only_where_reload_asks_for_them() {
    for mode in [&[][..], &["watchNamespaces={a}"]] {
        for (reload, verbs) in [
            (false, None),
            (true, Some(BTreeSet::from(["watch".to_owned()]))),
        ] {
            let flag = format!("reload.enabled={reload}");
            let objects = template(&[mode, &[flag.as_str()]].concat());
            let role = objects
                .iter()
                .find(|o| {
                    ["Role", "ClusterRole"].contains(&o["kind"].as_str().unwrap())
                        && o["metadata"]["name"] == "portal-operator"
                })
                .unwrap();
            let key = (String::new(), "secrets".to_owned(), String::new());
            assert_eq!(grants(role).get(&key), verbs.as_ref(), "{mode:?} {reload}");
            assert_eq!(
                environment(&objects)["PORTAL_OPERATOR_RELOAD"],
                reload.to_string()
            );
        }
    }
}

#[test]
fn nothing_grants_more_than_it_names() {
    for values in [
        &[][..],
        &["watchNamespaces={a}"],
        &["reload.enabled=true"],
        &["rbac.aggregate=true"],
    ] {
        for object in template(values) {
            if !["Role", "ClusterRole"].contains(&object["kind"].as_str().unwrap()) {
                continue;
            }
            for ((group, resource, _), verbs) in grants(&object) {
                assert!(group != "*" && resource != "*", "{values:?}");
                assert!(!resource.starts_with("pods/"), "{resource}");
                assert!(group != "rbac.authorization.k8s.io", "{resource}");
                for verb in ["*", "escalate", "bind", "impersonate"] {
                    assert!(!verbs.contains(verb), "{resource}: {verb}");
                }
            }
        }
    }
    let webhooks = [
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ];
    assert!(
        template(&[])
            .iter()
            .all(|object| !webhooks.contains(&object["kind"].as_str().unwrap()))
    );
}

#[test]
fn the_definition_is_the_one_of_the_code_and_outlives_the_release() {
    let objects = template(&[]);
    let definition = of_kind(&objects, "CustomResourceDefinition")[0];
    // Typed, since YAML does not keep apart 1 and 1.0.
    let typed: CustomResourceDefinition = serde_json::from_value(definition.clone()).unwrap();
    assert!(
        typed.spec == portal_operator::api::crd().spec,
        "run: make generate"
    );
    assert_eq!(
        definition["metadata"]["annotations"]["helm.sh/resource-policy"],
        "keep"
    );
    assert!(
        of_kind(
            &template(&["crds.install=false"]),
            "CustomResourceDefinition"
        )
        .is_empty()
    );
}

fn pod(objects: &[Value]) -> Value {
    of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"].clone()
}

fn environment(objects: &[Value]) -> BTreeMap<String, String> {
    pod(objects)["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let value = entry["value"].as_str().unwrap_or("from the pod");
            (entry["name"].as_str().unwrap().to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn the_operators_pod_is_restricted_and_has_a_network_policy() {
    let objects = template(&[]);
    let pod = pod(&objects);
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_ne!(pod["securityContext"]["runAsUser"], 0);
    assert_eq!(
        pod["securityContext"]["seccompProfile"],
        json!({"type": "RuntimeDefault"})
    );
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    for forbidden in ["hostNetwork", "hostPID", "hostIPC", "volumes"] {
        assert_eq!(pod.get(forbidden), None, "{forbidden}");
    }
    let policy = &named(&objects, "NetworkPolicy", "portal-operator")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["ingress"], json!([]));
    let labels = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["metadata"]["labels"];
    for (key, value) in policy["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[key], *value);
    }
}

#[test]
fn flags_and_variables_of_the_deployment_are_settings_of_the_program() {
    let command = CommandLine::command();
    let run = command.find_subcommand("run").unwrap();
    let flags: BTreeSet<_> = run
        .get_arguments()
        .filter_map(|a| a.get_long())
        .map(str::to_owned)
        .collect();
    let variables: BTreeSet<_> = run
        .get_arguments()
        .filter_map(|a| a.get_env())
        .map(|name| name.to_str().unwrap().to_owned())
        .collect();
    for values in [
        &[][..],
        &["watchNamespaces={a}"],
        &[
            "reload.enabled=true",
            "log.format=text",
            "listen.address=::",
        ],
    ] {
        let objects = template(values);
        let container = pod(&objects)["containers"][0].clone();
        let arguments = words(&container["args"]);
        assert_eq!(arguments[0], "run");
        for argument in &arguments[1..] {
            let name = argument.trim_start_matches("--").split('=').next().unwrap();
            assert!(flags.contains(name), "{argument}");
        }
        let environment = environment(&objects);
        for name in environment.keys() {
            assert!(variables.contains(name), "{name}");
        }
        // The values are read as the chart writes them.
        let mut line = vec!["portal-operator".to_owned()];
        line.extend(arguments);
        for argument in run.get_arguments() {
            let value = argument
                .get_env()
                .and_then(|name| environment.get(name.to_str().unwrap()));
            if let (Some(flag), Some(value)) = (argument.get_long(), value) {
                line.push(format!("--{flag}={value}"));
            }
        }
        CommandLine::command().try_get_matches_from(line).unwrap();
    }
}

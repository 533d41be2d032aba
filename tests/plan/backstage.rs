//! Preset Backstage, as Backstage was seen to need it.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Value, json};

use crate::offline::{find, first_plan_of, object, plan_of};

const SPEC: &str = "{preset: Backstage, image: a, host: harbor.test, exposure: {tls: {issuerRef: {name: notary}}}}";

const HOOK: &str = "--import=data:text/javascript,process.on('unhandledRejection',e=>{if(e&&(e.name==='BackendStartupError'||e.code==='EADDRINUSE')){console.error(e);process.exit(1)}})";

fn environment(spec: &str) -> BTreeMap<String, String> {
    plan_of(spec).components[0].environment.clone()
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_environment_is_the_one_that_was_seen_to_work() {
    assert_eq!(
        environment(SPEC),
        map(&[
            ("APP_CONFIG_app_baseUrl", "\"https://harbor.test\""),
            ("APP_CONFIG_backend_baseUrl", "\"https://harbor.test\""),
            (
                "APP_CONFIG_backend_lifecycle_serverShutdownDelay",
                "\"15s\""
            ),
            ("APP_CONFIG_backend_listen", "\":7007\""),
            ("HOME", "/tmp"),
            ("NODE_ENV", "production"),
            ("NODE_OPTIONS", &format!("--max-old-space-size=1536 {HOOK}")),
            ("PORTAL_URL", "https://harbor.test"),
        ])
    );
}

#[test]
fn without_exposure_there_is_no_base_url_to_be_wrong() {
    assert_eq!(
        environment(
            "{profile: Development, preset: Backstage, components: [{name: crane, image: a, port: 7100}]}"
        ),
        map(&[
            (
                "APP_CONFIG_backend_lifecycle_serverShutdownDelay",
                "\"15s\""
            ),
            ("APP_CONFIG_backend_listen", "\":7100\""),
            ("HOME", "/tmp"),
            ("NODE_ENV", "production"),
            ("NODE_OPTIONS", &format!("--max-old-space-size=1536 {HOOK}")),
        ])
    );
}

#[test]
fn configuration_by_variable_has_names_that_backstage_takes_and_values_that_are_json() {
    // Backstage exits on any other name, and reads a bare word as a string but 12345 as a number.
    let name_part = Regex::new("(?i)^[a-z][a-z0-9]*([-_:][a-z0-9]+)*$").unwrap();
    let environment = environment(SPEC);
    let config: Vec<_> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("APP_CONFIG_")?, value)))
        .collect();
    assert_eq!(config.len(), 4);
    for (name, value) in &config {
        assert!(name_part.is_match(name), "{name}");
        let parsed: Value =
            serde_json::from_str(value).unwrap_or_else(|_| panic!("{name}: {value}"));
        assert!(parsed.is_string(), "{name}");
    }
    // A key cannot be set both as a whole and in part: Backstage exits.
    for (name, _) in &config {
        for (other, _) in &config {
            assert!(!other.starts_with(&format!("{name}_")), "{name}, {other}");
        }
    }
}

#[test]
fn node_options_are_exactly_two_words() {
    let options = environment(SPEC)["NODE_OPTIONS"].clone();
    let words: Vec<_> = options.split(' ').collect();
    assert_eq!(words, ["--max-old-space-size=1536", HOOK]);
    // Node splits at spaces, and gives double quotes and backslashes a meaning of their own.
    assert!(
        !options.contains(['"', '\\', '\n', '\t', '%', '#']),
        "{options}"
    );
    for (open, close) in [('(', ')'), ('{', '}')] {
        assert_eq!(HOOK.matches(open).count(), HOOK.matches(close).count());
    }
    assert_eq!(HOOK.matches('\'').count() % 2, 0);
}

#[test]
fn the_heap_is_three_quarters_of_the_memory_limit() {
    for (resources, heap) in [
        ("{limits: {memory: 4Gi}}", 3072),
        ("{limits: {memory: 1000M}}", 715),
        ("{requests: {memory: 6Gi}}", 4608),
    ] {
        let spec = format!(
            "{{preset: Backstage, components: [{{name: a, image: a, resources: {resources}}}]}}"
        );
        let options = environment(&spec)["NODE_OPTIONS"].clone();
        assert!(
            options.starts_with(&format!("--max-old-space-size={heap} ")),
            "{resources}: {options}"
        );
    }
}

#[test]
fn a_pod_is_told_to_end_drains_and_has_time_left() {
    for (spec, startup) in [
        (SPEC.to_owned(), 900),
        ("{preset: Backstage, components: [{name: app, image: a, probes: {startup: {timeout: 2h}}}]}".to_owned(), 7200),
    ] {
        let plan = plan_of(&spec);
        let deployment = object(&plan, "Deployment", "harbor-app");
        let pod = &deployment["spec"]["template"]["spec"];
        let grace = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
        // Killed in its first migrations, a pod would leave a lock behind that nothing removes.
        assert!(grace > startup, "{grace}");
        assert!(15 < grace);
        let probe = &pod["containers"][0]["startupProbe"];
        let window = probe["failureThreshold"].as_i64().unwrap() * probe["periodSeconds"].as_i64().unwrap();
        assert_eq!(window, startup);
        assert!(deployment["spec"]["progressDeadlineSeconds"].as_i64().unwrap() > window);
        // Backstage drains by itself.
        assert!(pod["containers"][0].get("lifecycle").is_none());
    }
}

#[test]
fn a_start_is_judged_by_readiness_since_liveness_answers_in_a_failed_one() {
    let plan = plan_of(SPEC);
    let deployment = object(&plan, "Deployment", "harbor-app");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let path = |probe: &str| container[probe]["httpGet"]["path"].clone();
    assert_eq!(path("startupProbe"), "/.backstage/health/v1/readiness");
    assert_eq!(path("readinessProbe"), "/.backstage/health/v1/readiness");
    assert_eq!(path("livenessProbe"), "/.backstage/health/v1/liveness");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        // Pod Security refuses a host of the user's; the port goes by name, so that a port can be changed.
        assert_eq!(container[probe]["httpGet"]["host"], Value::Null);
        assert_eq!(container[probe]["httpGet"]["port"], "http");
    }
}

#[test]
fn the_first_start_is_one_pod_that_no_second_may_join() {
    let plan = first_plan_of(SPEC);
    let deployment = object(&plan, "Deployment", "harbor-app");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    assert!(find(&plan, "HorizontalPodAutoscaler", "harbor-app").is_none());
    let plan = plan_of(SPEC);
    assert!(find(&plan, "HorizontalPodAutoscaler", "harbor-app").is_some());
    // Other programs start with all their pods.
    let generic = first_plan_of("{image: a}");
    assert!(find(&generic, "HorizontalPodAutoscaler", "harbor-app").is_some());
}

#[test]
fn the_first_start_and_the_uid_do_not_roll_the_pods() {
    let template = |plan: &portal_operator::plan::Plan| {
        object(plan, "Deployment", "harbor-app")["spec"]["template"].clone()
    };
    assert_eq!(template(&first_plan_of(SPEC)), template(&plan_of(SPEC)));
}

#[test]
fn the_configuration_file_joins_those_of_the_image() {
    let command = |component: &str| {
        let plan = plan_of(&format!(
            "{{profile: Development, preset: Backstage, components: [{{name: a, image: a{component}}}], config: {{appConfig: {{app: {{title: T}}}}}}}}"
        ));
        (
            plan.components[0].command.clone(),
            plan.components[0].args.clone(),
        )
    };
    let (own, arguments) = command("");
    assert_eq!(own, ["node", "packages/backend"]);
    assert_eq!(
        arguments,
        [
            "--config",
            "app-config.yaml",
            "--config",
            "app-config.production.yaml",
            "--config",
            "/etc/portal/app-config.yaml"
        ]
    );
    assert_eq!(command(", args: [x]"), (vec![], vec!["x".to_owned()]));
    assert_eq!(command(", command: [y]"), (vec!["y".to_owned()], vec![]));
    let without = plan_of("{profile: Development, preset: Backstage, image: a}");
    assert!(without.components[0].command.is_empty() && without.components[0].args.is_empty());
}

#[test]
fn the_pods_can_run_with_a_user_that_the_image_names_by_name() {
    let pod =
        object(&plan_of(SPEC), "Deployment", "harbor-app")["spec"]["template"]["spec"].clone();
    assert_eq!(pod["securityContext"]["runAsUser"], 1000);
    assert_eq!(pod["enableServiceLinks"], false);
    let generic = object(&plan_of("{image: a}"), "Deployment", "harbor-app");
    assert_eq!(
        generic["spec"]["template"]["spec"]["securityContext"].get("runAsUser"),
        None
    );
}

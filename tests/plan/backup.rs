//! What the backups of a portal's database are planned to be.

use portal_operator::{
    children,
    plan::{self, DatabaseFacts, Facts, Plan},
};
use serde_json::{Value, json};

use super::offline::{find, object, plan_of, portal};

const S3: &str = "destination: {path: 's3://b/f', credentialsSecretRef: {name: s3}}";

fn with(profile: &str, backup: &str) -> Plan {
    plan_of(&format!(
        "{{image: a, profile: {profile}, database: {{}}, backup: {{{backup}}}}}"
    ))
}

fn with_facts(backup: &str, facts: &Facts) -> Plan {
    let portal = portal(&format!(
        "{{image: a, database: {{}}, backup: {{{backup}}}}}"
    ));
    plan::plan(&portal, facts).unwrap()
}

fn problem(spec: &str) -> String {
    let problems = plan::plan(&portal(spec), &Facts::default()).unwrap_err();
    format!("{}: {}", problems[0].field, problems[0].message)
}

fn parameters(plan: &Plan) -> Value {
    object(plan, "Cluster", "harbor-db")["spec"]["postgresql"]["parameters"].clone()
}

#[test]
fn the_profile_says_how_long_backups_are_kept_and_whether_dumps_are() {
    for (profile, retention, dumps) in [
        ("Production", "30d", true),
        ("Staging", "7d", false),
        ("Development", "7d", false),
    ] {
        let plan = with(profile, S3);
        let store = object(&plan, "ObjectStore", "harbor-db");
        assert_eq!(store["spec"]["retentionPolicy"], retention, "{profile}");
        let found = find(&plan, "CronJob", "harbor-db-archive");
        assert_eq!(found.is_some(), dumps, "{profile}");
    }
    let asked = with("Staging", &format!("{S3}, archive: {{}}"));
    assert!(find(&asked, "CronJob", "harbor-db-archive").is_some());
    let refused = with("Production", &format!("{S3}, archive: {{mode: None}}"));
    assert!(find(&refused, "CronJob", "harbor-db-archive").is_none());
}

#[test]
fn a_segment_is_finished_within_half_of_the_objective_also_after_a_start() {
    for (objective, timeout, checkpoint) in [
        ("1h", "5min", None),
        ("4m", "2min", Some("2min")),
        ("1m", "30s", Some("30s")),
    ] {
        let plan = with(
            "Production",
            &format!("{S3}, objectives: {{rpo: {objective}}}"),
        );
        let parameters = parameters(&plan);
        assert_eq!(parameters["archive_timeout"], timeout, "{objective}");
        let found = parameters["checkpoint_timeout"].as_str();
        assert_eq!(found, checkpoint, "{objective}");
    }
    let told = problem(&format!(
        "{{image: a, database: {{managed: {{parameters: {{archive_timeout: 40min}}}}}}, backup: {{{S3}}}}}"
    ));
    assert!(
        told.starts_with(
            "spec.database.managed.parameters[archive_timeout]: must be from 1s to 1800s"
        ),
        "{told}"
    );
}

#[test]
fn a_dump_is_taken_from_a_standby_where_there_is_one() {
    let host = |plan: &Plan| {
        let job = object(plan, "CronJob", "harbor-db-archive");
        let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
        pod["initContainers"][0]["env"][0]["value"].clone()
    };
    let production = with("Production", S3);
    assert_eq!(host(&production), "harbor-db-ro");
    assert_eq!(parameters(&production)["hot_standby_feedback"], "on");
    let single = with("Development", &format!("{S3}, archive: {{}}"));
    assert_eq!(host(&single), "harbor-db-rw");
    assert!(parameters(&single)["hot_standby_feedback"].is_null());
}

#[test]
fn a_live_archive_is_gone_on_with_and_each_new_life_begins_its_own() {
    let server = |plan: &Plan| {
        object(plan, "Cluster", "harbor-db")["spec"]["plugins"][0]["parameters"]["serverName"]
            .clone()
    };
    let new = Facts {
        barman_plugin: true,
        ..Facts::default()
    };
    let first = server(&with_facts(S3, &new));
    assert!(first.as_str().unwrap().starts_with("harbor-db-"));
    let mut other = portal(&format!("{{image: a, database: {{}}, backup: {{{S3}}}}}"));
    other.metadata.uid = Some("another".into());
    assert_ne!(server(&plan::plan(&other, &new).unwrap()), first);
    let mut live = Facts {
        database: DatabaseFacts {
            server_name: Some("harbor-db-of-before".into()),
            ..DatabaseFacts::default()
        },
        ..new
    };
    assert_eq!(server(&with_facts(S3, &live)), "harbor-db-of-before");

    // Without an archiver for a time, the log has a gap: what follows does not continue what is in the folder.
    let used = first.as_str().unwrap().to_owned();
    live.database.server_name = None;
    live.database.used_folders = [used].into();
    let second = server(&with_facts(S3, &live));
    assert!(second.as_str().unwrap().starts_with("harbor-db-"));
    assert_ne!(second, first);
    assert_eq!(server(&with_facts(S3, &live)), second);
}

#[test]
fn the_first_base_backup_waits_until_every_instance_can_make_one() {
    for can_back_up in [false, true] {
        let facts = Facts {
            barman_plugin: true,
            database: DatabaseFacts {
                can_back_up,
                ..DatabaseFacts::default()
            },
            ..Facts::default()
        };
        let held = children::manifests(&with_facts(S3, &facts))
            .into_iter()
            .find(|manifest| manifest.kind.kind == "ScheduledBackup")
            .unwrap()
            .held;
        assert_eq!(held, (!can_back_up).then_some(children::Hold::Creation));
    }
}

#[test]
fn without_the_plugin_the_cluster_is_made_without_it_and_with_it_it_keeps_it() {
    let kinds = |plan: &Plan| -> Vec<&str> {
        children::manifests(plan)
            .iter()
            .map(|manifest| manifest.kind.kind)
            .filter(|kind| ["ObjectStore", "ScheduledBackup"].contains(kind))
            .collect()
    };
    let absent = with_facts(S3, &Facts::default());
    assert_eq!(kinds(&absent), [""; 0]);
    assert!(object(&absent, "Cluster", "harbor-db")["spec"]["plugins"].is_null());
    // It went away for a while: taking it out of the Cluster would restart every instance, twice.
    let gone = Facts {
        database: DatabaseFacts {
            server_name: Some("harbor-db-1".into()),
            ..DatabaseFacts::default()
        },
        ..Facts::default()
    };
    assert!(object(&with_facts(S3, &gone), "Cluster", "harbor-db")["spec"]["plugins"].is_array());
}

#[test]
fn an_image_of_a_catalog_makes_dumps_once_a_cluster_runs_it() {
    let spec = format!(
        "{{image: a, database: {{managed: {{imageCatalogRef: {{name: c}}}}}}, backup: {{{S3}}}}}"
    );
    let mut facts = Facts::default();
    let before = plan::plan(&portal(&spec), &facts).unwrap();
    assert!(find(&before, "CronJob", "harbor-db-archive").is_none());
    facts.database.image = Some("registry.test/p:17.5".into());
    let after = plan::plan(&portal(&spec), &facts).unwrap();
    let job = object(&after, "CronJob", "harbor-db-archive");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["image"], "registry.test/p:17.5");
}

#[test]
fn the_pods_of_dumps_are_restricted_and_have_no_token() {
    let plan = with("Production", S3);
    let job = object(&plan, "CronJob", "harbor-db-archive");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    for container in [&pod["initContainers"][0], &pod["containers"][0]] {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    }
}

#[test]
fn a_schedule_that_never_comes_is_refused_with_its_field() {
    let told = problem(&format!(
        "{{image: a, database: {{}}, backup: {{{S3}, schedule: '0 2 31 2 *'}}}}"
    ));
    assert!(
        told.starts_with("spec.backup.schedule: \"0 2 31 2 *\" is no schedule"),
        "{told}"
    );
}

#[test]
fn the_network_lets_instances_reach_the_store_and_the_operator_reach_them() {
    let plan = plan_of(
        "{image: a, database: {}, backup: {destination: {path: 's3://b', endpoint: 'http://minio:9000', credentialsSecretRef: {name: s}}}}",
    );
    let policy = object(&plan, "NetworkPolicy", "harbor-db");
    let ports = |rules: &Value| -> Vec<i64> {
        rules
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|rule| rule["ports"].as_array().cloned().unwrap_or_default())
            .filter_map(|port| port["port"].as_i64())
            .collect()
    };
    assert!(ports(&policy["spec"]["egress"]).contains(&9000));
    let operator = policy["spec"]["ingress"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| {
            rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
                == "portal-operator"
        })
        .unwrap();
    assert_eq!(operator["ports"][0]["port"], 8000);
    let archive = object(&plan, "NetworkPolicy", "harbor-db-archive");
    assert_eq!(archive["spec"]["ingress"], json!([]));
    assert!(ports(&archive["spec"]["egress"]).contains(&9000));
}

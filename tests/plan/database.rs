//! What the database of a portal is planned to be.

use portal_operator::plan::database::{Database, RESERVED_CONNECTIONS};
use serde_json::{Value, json};

use super::offline::{find, object, plan_of, portal, started};

fn managed(spec: &str) -> Value {
    object(&plan_of(spec), "Cluster", "harbor-db")["spec"].clone()
}

fn variable<'a>(deployment: &'a Value, name: &str) -> &'a Value {
    deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|variable| variable["name"] == name)
        .unwrap_or(&Value::Null)
}

#[test]
fn the_profile_says_how_many_instances_how_they_commit_and_who_pools() {
    for (profile, instances, durability, pooler) in [
        ("Production", 3, json!("preferred"), json!(2)),
        ("Staging", 2, Value::Null, json!(1)),
        ("Development", 1, Value::Null, Value::Null),
        ("Ephemeral", 1, Value::Null, Value::Null),
    ] {
        let plan = plan_of(&format!("{{image: a, profile: {profile}, database: {{}}}}"));
        let cluster = object(&plan, "Cluster", "harbor-db");
        assert_eq!(cluster["spec"]["instances"], instances, "{profile}");
        let synchronous = &cluster["spec"]["postgresql"]["synchronous"];
        assert_eq!(synchronous["dataDurability"], durability, "{profile}");
        let found = find(&plan, "Pooler", "harbor-db-pooler").unwrap_or_default();
        assert_eq!(found["spec"]["instances"], pooler, "{profile}");
    }
}

#[test]
fn only_a_database_that_may_be_lost_has_an_owner() {
    for (spec, owned) in [
        ("{image: a, profile: Production, database: {}}", false),
        ("{image: a, profile: Staging, database: {}}", false),
        ("{image: a, profile: Development, database: {}}", true),
        (
            "{image: a, profile: Ephemeral, database: {reclaimPolicy: Retain}}",
            false,
        ),
        (
            "{image: a, profile: Production, database: {reclaimPolicy: Delete}}",
            true,
        ),
    ] {
        let cluster = object(&plan_of(spec), "Cluster", "harbor-db");
        assert_eq!(
            cluster["metadata"]["ownerReferences"].is_array(),
            owned,
            "{spec}"
        );
    }
}

#[test]
fn a_failover_waits_neither_for_open_sessions_nor_for_a_long_lease() {
    let cluster = managed("{image: a, database: {}}");
    assert_eq!(cluster["smartShutdownTimeout"], 0);
    assert_eq!(cluster["primaryUpdateMethod"], "switchover");
    assert_eq!(
        cluster["primaryLease"],
        json!({"leaseDurationSeconds": 5, "renewDeadlineSeconds": 3, "retryPeriodSeconds": 1})
    );
    assert_eq!(cluster["postgresql"]["synchronous"]["failoverQuorum"], true);
}

/// CloudNativePG refuses a lease that is not longer than its renewal, or a renewal not longer than 1.2 retries; as many
/// synchronous standbys as instances; and memory below the shared buffers.
#[test]
fn no_rule_of_cloudnative_pg_is_broken() {
    for profile in ["Production", "Staging", "Development", "Ephemeral"] {
        for size in ["Small", "Medium", "Large"] {
            let cluster = managed(&format!(
                "{{image: a, profile: {profile}, size: {size}, database: {{managed: {{storage: {{walSize: 5Gi}}}}}}}}"
            ));
            let lease = |field: &str| cluster["primaryLease"][field].as_f64().unwrap();
            assert!(lease("leaseDurationSeconds") > lease("renewDeadlineSeconds"));
            assert!(lease("renewDeadlineSeconds") > 1.2 * lease("retryPeriodSeconds"));
            if let Some(number) = cluster["postgresql"]["synchronous"]["number"].as_i64() {
                assert!(number < cluster["instances"].as_i64().unwrap());
            }
            let resources = &cluster["resources"];
            assert_eq!(
                resources["requests"]["memory"],
                resources["limits"]["memory"]
            );
            let megabytes = |text: &str| text.trim_end_matches("MB").parse::<i32>().unwrap();
            let gigabytes = resources["limits"]["memory"].as_str().unwrap();
            let memory = gigabytes.trim_end_matches("Gi").parse::<i32>().unwrap() * 1024;
            let parameters = &cluster["postgresql"]["parameters"];
            assert_eq!(
                megabytes(parameters["shared_buffers"].as_str().unwrap()) * 4,
                memory
            );
            // A tag, or CloudNativePG cannot tell the version.
            assert_eq!(cluster["imageName"], "ghcr.io/cloudnative-pg/postgresql:17");
            // A budget over a single instance blocks every drain.
            assert_eq!(cluster["enablePDB"], cluster["instances"] != 1);
        }
    }
}

#[test]
fn connections_suffice_at_the_greatest_number_of_pods_by_default() {
    for preset in ["Backstage", "Generic"] {
        for profile in ["Production", "Staging", "Development", "Ephemeral"] {
            for size in ["Small", "Medium", "Large"] {
                for most in ["", ", scaling: {maxReplicas: 40}"] {
                    let spec = format!(
                        "{{preset: {preset}, profile: {profile}, size: {size}, components: [{{name: app, image: a{most}}}], database: {{}}}}"
                    );
                    let plan = plan_of(&spec);
                    let Database::Managed(managed) = &plan.database else {
                        panic!("{spec}");
                    };
                    let wanted = plan.demand.total();
                    let pool = managed.pooler.as_ref().map_or(wanted, |pooler| {
                        // One pod of the pooler carries all when another is gone.
                        assert!(wanted <= pooler.pool_size, "{spec}");
                        assert!(pooler.max_clients > pooler.pool_size, "{spec}");
                        pooler.pool_size * pooler.instances
                    });
                    let most: i32 = managed.parameters["max_connections"].parse().unwrap();
                    assert!(pool + RESERVED_CONNECTIONS <= most, "{spec}");
                }
            }
        }
    }
}

#[test]
fn a_surge_pod_counts_and_a_component_without_database_does_not() {
    let plan = plan_of(
        "{components: [{name: api, image: a, scaling: {minReplicas: 2, maxReplicas: 4}}, {name: web, image: a, database: None}], database: {}}",
    );
    assert_eq!(plan.demand.components, [("api".to_owned(), 5, 10)]);
    let web = object(&plan, "Deployment", "harbor-web");
    assert!(variable(&web, "PGPASSWORD").is_null());
    let policy = object(&plan, "NetworkPolicy", "harbor-web").to_string();
    assert!(!policy.contains("5432"), "{policy}");
    let pooler = object(&plan, "NetworkPolicy", "harbor-db-pooler");
    let clients = &pooler["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0];
    assert_eq!(clients["values"], json!(["api"]));
}

#[test]
fn backstage_gets_the_environment_that_was_seen_to_work() {
    let plan = plan_of("{preset: Backstage, image: a, database: {}}");
    let variables = &object(&plan, "ConfigMap", "harbor-app")["data"];
    for (name, value) in [
        ("PGHOST", "harbor-db-pooler"),
        ("PGPORT", "5432"),
        ("PGDATABASE", "app"),
        ("PGSSLMODE", "verify-full"),
        ("NODE_EXTRA_CA_CERTS", "/etc/portal-database/ca.crt"),
        ("POSTGRES_HOST", "harbor-db-pooler"),
        ("POSTGRES_PORT", "5432"),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    let database = variables["APP_CONFIG_backend_database"].as_str().unwrap();
    let database: Value = serde_json::from_str(database).unwrap();
    assert_eq!(database["client"], "pg");
    assert_eq!(database["pluginDivisionMode"], "schema");
    assert_eq!(database["ensureExists"], false);
    assert_eq!(database["ensureSchemaExists"], true);
    assert_eq!(database["connection"], json!({}));
    assert_eq!(database["knexConfig"]["pool"]["min"], 0);
    let deployment = object(&plan, "Deployment", "harbor-app");
    for (name, key) in [
        ("PGUSER", "username"),
        ("PGPASSWORD", "password"),
        ("POSTGRES_USER", "username"),
        ("POSTGRES_PASSWORD", "password"),
    ] {
        let source = &variable(&deployment, name)["valueFrom"]["secretKeyRef"];
        assert_eq!(
            *source,
            json!({"name": "harbor-db-app", "key": key}),
            "{name}"
        );
    }
    // A password is never parsed as JSON, and of the authority only the certificate is mounted.
    assert!(!variables.to_string().to_lowercase().contains("password"));
    let volume = deployment["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|volume| volume["name"] == "database-ca")
        .unwrap();
    assert_eq!(
        volume["secret"]["items"],
        json!([{"key": "ca.crt", "path": "ca.crt"}])
    );
}

#[test]
fn generic_programs_get_one_address_that_is_verified() {
    let plan = plan_of("{image: a, profile: Development, database: {}}");
    let deployment = object(&plan, "Deployment", "harbor-app");
    assert_eq!(
        variable(&deployment, "DATABASE_URL")["value"],
        "postgresql://$(PGUSER):$(PGPASSWORD)@harbor-db-rw:5432/app?sslmode=verify-full&sslrootcert=/etc/portal-database/ca.crt"
    );
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].clone();
    let names: Vec<_> = env
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].clone())
        .collect();
    // What an address refers to must come before it.
    assert_eq!(names, ["PGUSER", "PGPASSWORD", "DATABASE_URL"]);
}

#[test]
fn a_variable_of_the_user_replaces_the_databases() {
    let plan = plan_of(
        "{components: [{name: app, image: a, env: [{name: DATABASE_URL, value: mine}]}], database: {}}",
    );
    let deployment = object(&plan, "Deployment", "harbor-app");
    assert_eq!(variable(&deployment, "DATABASE_URL")["value"], "mine");
    assert_eq!(
        variable(&deployment, "PGUSER")["valueFrom"]["secretKeyRef"]["key"],
        "username"
    );
}

#[test]
fn the_pooler_shows_a_certificate_that_names_it() {
    for pooler in ["Session", "None"] {
        let cluster = managed(&format!(
            "{{image: a, database: {{managed: {{pooler: {{mode: {pooler}}}}}}}}}"
        ));
        assert_eq!(
            cluster["certificates"]["serverAltDNSNames"],
            json!([
                "harbor-db-pooler",
                "harbor-db-pooler.docks",
                "harbor-db-pooler.docks.svc"
            ])
        );
    }
}

#[test]
fn an_external_database_is_verified_and_reached_and_nothing_is_made() {
    let spec = "{image: a, database: {mode: External, external: {host: 10.1.2.3, port: 6432, database: ledger, credentialsSecretRef: {name: rds}, tls: {caSecretRef: {name: rds-ca}}}}}";
    let plan = plan_of(spec);
    assert!(find(&plan, "Cluster", "harbor-db").is_none());
    assert!(find(&plan, "NetworkPolicy", "harbor-db").is_none());
    let deployment = object(&plan, "Deployment", "harbor-app");
    assert_eq!(
        variable(&deployment, "DATABASE_URL")["value"],
        "postgresql://$(PGUSER):$(PGPASSWORD)@10.1.2.3:6432/ledger?sslmode=verify-full&sslrootcert=/etc/portal-database/ca.crt"
    );
    let egress = &object(&plan, "NetworkPolicy", "harbor-app")["spec"]["egress"][2];
    assert_eq!(egress["to"][0]["ipBlock"]["cidr"], "10.1.2.3/32");
    assert_eq!(egress["ports"][0]["port"], 6432);
}

#[test]
fn parameters_of_the_user_win_and_those_of_cloudnative_pg_are_refused() {
    let cluster = managed(
        "{image: a, database: {managed: {parameters: {shared_buffers: 1GB, pg_stat_statements.max: '9'}}}}",
    );
    let parameters = &cluster["postgresql"]["parameters"];
    assert_eq!(parameters["shared_buffers"], "1GB");
    assert_eq!(parameters["pg_stat_statements.max"], "9");
    for (name, words) in [
        ("archive_command", "is set by CloudNativePG"),
        ("synchronous_standby_names", "is set by CloudNativePG"),
        ("work mem", "is no name"),
        ("a.b.c", "is no name"),
    ] {
        let spec = format!("{{image: a, database: {{managed: {{parameters: {{{name}: x}}}}}}}}");
        let problems = started(&portal(&spec)).unwrap_err();
        assert_eq!(
            problems[0].field,
            format!("spec.database.managed.parameters[{name}]")
        );
        assert!(
            problems[0].message.contains(words),
            "{}",
            problems[0].message
        );
    }
}

//! What is said of the database: each phase of CloudNativePG, pods that cannot run, hibernation, fencing, volumes, and the
//! policies. Longer than other files because of the table of phases.

use std::sync::Arc;

use portal_operator::{
    api::status::{ConditionType, PolicyName, PolicyStatus, Verdict},
    children::live::{ClusterState, Health},
    observe::{ApiState, PodTrouble, Volume},
    outcome::{Done, Outcome},
};

use super::{
    Case,
    world::{change, change_pod, condition, remove},
};

fn case() -> Case {
    Case::serving(
        "{image: a, profile: Production, host: h.test, exposure: {tls: {issuerRef: {name: i}}}, database: {}}",
    )
}

fn change_cluster(case: &mut Case, edit: impl FnOnce(&mut ClusterState)) {
    change(&mut case.world, "Cluster", "harbor-db", |child| {
        let Health::Cluster(cluster) = &mut child.health else {
            panic!("a Cluster has another state");
        };
        edit(cluster);
    });
}

fn policy(case: &Case, name: PolicyName) -> PolicyStatus {
    let policies = case.assess().policies;
    policies
        .into_iter()
        .find(|policy| policy.name == name)
        .unwrap()
}

#[test]
fn a_database_that_serves_is_ready_and_says_who_takes_writes() {
    let case = case();
    let status = case.assess();
    let ready = case.condition(ConditionType::DatabaseReady).unwrap();
    assert_eq!(ready.status, Verdict::True);
    assert_eq!(
        ready.message,
        "Cluster harbor-db: 3 of 3 instances ready, harbor-db-1 takes writes"
    );
    let database = status.database.unwrap();
    assert_eq!(database.phase.as_deref(), Some("Cluster in healthy state"));
    assert_eq!((database.instances, database.ready), (3, 3));
    assert_eq!(case.ready().status, Verdict::True);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn every_phase_is_a_sentence_with_the_next_step() {
    for (phase, stalled, reason, words) in [
        (
            "Setting up primary",
            false,
            "DatabaseStarting",
            "the first instance is made",
        ),
        (
            "Creating a new replica",
            false,
            "DatabaseProgressing",
            "Creating a new replica",
        ),
        (
            "Failing over",
            false,
            "FailoverInProgress",
            "harbor-db-2 takes over from harbor-db-1",
        ),
        (
            "Switchover in progress",
            false,
            "FailoverInProgress",
            "writes wait",
        ),
        (
            "Upgrading cluster",
            false,
            "DatabaseProgressing",
            "Upgrading cluster",
        ),
        (
            "Upgrading Postgres major version",
            false,
            "DatabaseProgressing",
            "major version",
        ),
        (
            "Cluster upgrade delayed",
            true,
            "DatabaseWaitsForYou",
            "kubectl describe cluster",
        ),
        (
            "Waiting for user action",
            true,
            "DatabaseWaitsForYou",
            "kubectl describe cluster",
        ),
        (
            "Primary instance is being restarted in-place",
            false,
            "DatabaseProgressing",
            "in-place",
        ),
        (
            "Applying configuration",
            false,
            "DatabaseProgressing",
            "Applying configuration",
        ),
        (
            "Unable to create required cluster objects",
            true,
            "DatabaseObjectsRefused",
            "quota",
        ),
        (
            "Invalid cluster definition",
            true,
            "DatabaseInvalid",
            "spec.database.managed",
        ),
        (
            "Not enough disk space",
            true,
            "DatabaseDiskFull",
            "storage.size",
        ),
        (
            "Instance Status Extraction Error: HTTP communication issue",
            false,
            "DatabaseUnreachable",
            "port 8000",
        ),
        (
            "Cluster has incomplete or invalid image catalog",
            true,
            "ImageCatalogInvalid",
            "imageCatalogRef",
        ),
        (
            "Cluster is unrecoverable and needs manual intervention",
            true,
            "DatabaseUnrecoverable",
            "restore from a backup",
        ),
        (
            "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
            false,
            "DatabasePluginFailing",
            "no failover happens",
        ),
        (
            "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
            false,
            "DatabasePluginFailing",
            "pods of the plugin",
        ),
        (
            "Cluster cannot execute instance online upgrade due to missing architecture binary",
            true,
            "DatabaseUpgradeImpossible",
            "architecture",
        ),
        (
            "A phase of tomorrow",
            false,
            "DatabaseProgressing",
            "A phase of tomorrow",
        ),
    ] {
        let mut case = case();
        change_cluster(&mut case, |cluster| {
            cluster.phase = phase.into();
            cluster.phase_reason = "as told".into();
            cluster.target_primary = "harbor-db-2".into();
            cluster.ready = 2;
        });
        for condition in [ConditionType::DatabaseReady, ConditionType::Ready] {
            let told = case.condition(condition).unwrap();
            assert_eq!(told.status, Verdict::False, "{phase}");
            assert_eq!(told.reason, reason, "{phase}");
            assert!(
                told.message
                    .starts_with("Cluster harbor-db: 2 of 3 instances ready; "),
                "{}",
                told.message
            );
            assert!(told.message.contains(words), "{}", told.message);
            assert!(told.message.contains("as told"), "{}", told.message);
        }
        assert_eq!(
            case.condition(ConditionType::Stalled).is_some(),
            stalled,
            "{phase}"
        );
    }
}

#[test]
fn what_keeps_an_instance_from_running_comes_before_the_phase() {
    for (trouble, reason, words) in [
        (
            PodTrouble::Unschedulable("pod has unbound immediate PersistentVolumeClaims".into()),
            "Unschedulable",
            "set database.managed.storage.className",
        ),
        (
            PodTrouble::Unschedulable("node(s) didn't match pod anti-affinity rules".into()),
            "Unschedulable",
            "lower database.managed.instances",
        ),
        (
            PodTrouble::Waiting {
                reason: "ImagePullBackOff".into(),
                message: "not found".into(),
            },
            "ImagePullFailed",
            "check spec.database.managed.version or imageName",
        ),
        (
            PodTrouble::Crashing {
                exit_code: 1,
                reason: "Error".into(),
                restarts: 4,
            },
            "CrashLooping",
            "kubectl logs harbor-db-0 --previous",
        ),
    ] {
        let mut case = case();
        change_cluster(&mut case, |cluster| {
            cluster.phase = "Setting up primary".into();
            cluster.ready = 0;
        });
        change_pod(&mut case.world, 0, |pod| {
            pod.ready = false;
            pod.trouble = Some(trouble);
        });
        let told = case.condition(ConditionType::DatabaseReady).unwrap();
        assert_eq!(told.reason, reason);
        assert!(told.message.contains(words), "{}", told.message);
    }
}

#[test]
fn hibernation_and_fencing_are_told_with_the_way_back() {
    let mut hibernated = case();
    change_cluster(&mut hibernated, |cluster| {
        cluster.ready = 0;
        cluster.conditions = vec![condition("cnpg.io/hibernation", "True", "Hibernated", "")];
    });
    let told = hibernated.ready();
    assert_eq!(told.reason, "Hibernated");
    assert!(
        told.message
            .contains("remove its annotation cnpg.io/hibernation"),
        "{}",
        told.message
    );

    let mut fenced = case();
    change_cluster(&mut fenced, |cluster| {
        cluster.fenced = Some("[\"*\"]".into());
    });
    let told = fenced.ready();
    assert_eq!(told.reason, "Fenced");
    assert!(
        told.message.contains("cnpg.io/fencedInstances"),
        "{}",
        told.message
    );
}

#[test]
fn a_cluster_without_cloudnative_pg_says_what_to_install() {
    let mut case = case();
    case.world.apis.insert("Cluster", ApiState::Absent);
    remove(&mut case.world, "Cluster", "harbor-db");
    case.outcomes = vec![Outcome {
        key: ("Cluster", "harbor-db".into()),
        result: Done::Blocked(ApiState::Absent),
    }];
    let told = case.condition(ConditionType::DatabaseReady).unwrap();
    assert_eq!(told.status, Verdict::False);
    assert_eq!(
        told.message,
        "Cluster harbor-db cannot be made: CloudNativePG is not installed; install it, or set database.mode to External or None (it cannot be changed later)"
    );
}

#[test]
fn a_deployment_that_is_held_is_told_as_the_databases_trouble() {
    let mut case = case();
    change_cluster(&mut case, |cluster| {
        cluster.phase = "Setting up primary".into();
        cluster.ready = 0;
    });
    remove(&mut case.world, "Deployment", "harbor-app");
    case.outcomes = vec![Outcome {
        key: ("Deployment", "harbor-app".into()),
        result: Done::Held,
    }];
    assert_eq!(case.ready().reason, "DatabaseStarting");

    change_cluster(&mut case, |cluster| {
        cluster.phase = "Cluster in healthy state".into();
        cluster.ready = 3;
    });
    let told = case.ready();
    assert_eq!(told.reason, "WaitingForDatabase");
    assert!(
        told.message
            .contains("Deployment harbor-app waits for Cluster harbor-db"),
        "{}",
        told.message
    );
}

#[test]
fn policies_count_the_database_in() {
    let mut case = case();
    assert_eq!(
        policy(&case, PolicyName::Replicated).observed.as_deref(),
        Some("app 3/3, database 3/3")
    );
    assert_eq!(
        policy(&case, PolicyName::ZoneRedundant).observed.as_deref(),
        Some("app a=1 b=1 c=1, database a=1 b=1 c=1")
    );
    assert_eq!(
        policy(&case, PolicyName::ConnectionBudget).status,
        Verdict::True
    );

    change_cluster(&mut case, |cluster| cluster.ready = 2);
    let replicated = policy(&case, PolicyName::Replicated);
    assert_eq!(replicated.status, Verdict::False);
    assert!(
        replicated
            .message
            .unwrap()
            .contains("Cluster harbor-db: 2 of 3")
    );

    for index in 0..3 {
        change_pod(&mut case.world, index, |pod| pod.node = Some("a1".into()));
    }
    assert_eq!(
        policy(&case, PolicyName::ZoneRedundant).reason,
        "DatabaseInOneZone"
    );
    remove(&mut case.world, "NetworkPolicy", "harbor-db-pooler");
    assert_eq!(
        policy(&case, PolicyName::NetworkRestricted).reason,
        "PolicyMissing"
    );
    remove(&mut case.world, "PodDisruptionBudget", "harbor-db-pooler");
    assert_eq!(
        policy(&case, PolicyName::DisruptionProtected).reason,
        "BudgetMissing"
    );
}

#[test]
fn a_connection_budget_that_the_users_own_values_break_shows_the_sum() {
    for (database, words) in [
        (
            "{managed: {pooler: {poolSize: 20}}}",
            "may open 110 connections and Pooler harbor-db-pooler has 40",
        ),
        (
            "{managed: {parameters: {max_connections: '100'}}}",
            "may open 220 connections, and max_connections 100 less 20 leaves 80",
        ),
        (
            "{managed: {pooler: {mode: None}, parameters: {max_connections: '100'}}}",
            "the components may open 110 connections, and max_connections 100",
        ),
    ] {
        let case = Case::serving(&format!("{{image: a, database: {database}}}"));
        let budget = policy(&case, PolicyName::ConnectionBudget);
        assert_eq!(budget.status, Verdict::False, "{database}");
        assert!(budget.observed.unwrap().starts_with("app 11×10 = 110"));
        let message = budget.message.unwrap();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn an_external_database_is_unknown_and_must_be_verified() {
    let external = |rest: &str| {
        Case::serving(&format!(
            "{{image: a, host: h.test, exposure: {{tls: {{issuerRef: {{name: i}}}}}}, database: {{mode: External, external: {{host: db.test, credentialsSecretRef: {{name: s}}{rest}}}}}}}"
        ))
    };
    let case = external("");
    assert_eq!(
        case.condition(ConditionType::DatabaseReady).unwrap().reason,
        "ExternallyManaged"
    );
    assert_eq!(case.ready().status, Verdict::True);
    assert_eq!(
        policy(&case, PolicyName::TransportSecure).status,
        Verdict::True
    );
    assert_eq!(
        policy(&case, PolicyName::ConnectionBudget).status,
        Verdict::Unknown
    );
    let plain = external(", maxConnections: 50, tls: {mode: Require}");
    assert_eq!(
        policy(&plain, PolicyName::TransportSecure).reason,
        "DatabaseNotVerified"
    );
    assert_eq!(
        policy(&plain, PolicyName::ConnectionBudget).status,
        Verdict::False
    );
}

fn volume(role: &str, requested: &str, capacity: &str) -> Arc<Volume> {
    Arc::new(Volume {
        name: "harbor-db-2".into(),
        role: role.into(),
        requested: requested.into(),
        capacity: capacity.into(),
        class: "fast".into(),
    })
}

#[test]
fn a_volume_that_does_not_grow_is_told_with_who_has_to_let_it() {
    let mut case = case();
    case.world.volumes = vec![volume("PG_DATA", "10Gi", "10Gi")];
    let ready = case.ready();
    assert_eq!(ready.reason, "VolumeGrowing");
    assert_eq!(
        ready.message,
        "PersistentVolumeClaim harbor-db-2 has 10Gi and shall grow to 20Gi; StorageClass fast has to allow that by allowVolumeExpansion: true"
    );
    case.world.volumes = vec![volume("PG_DATA", "20Gi", "10Gi")];
    assert_eq!(
        case.ready().message,
        "PersistentVolumeClaim harbor-db-2 has 10Gi and shall grow to 20Gi; the driver of StorageClass fast has to do it; look at kubectl describe pvc harbor-db-2"
    );
}

#[test]
fn a_volume_that_is_large_enough_is_no_trouble() {
    for enough in [
        volume("PG_DATA", "20Gi", "20Gi"),
        volume("PG_DATA", "20480Mi", "30Gi"),
        // Not bound: its pod tells of it.
        volume("PG_DATA", "20Gi", ""),
        // Of a volume that the spec does not have.
        volume("PG_WAL", "1Gi", "1Gi"),
    ] {
        let mut case = case();
        case.world.volumes = vec![enough];
        assert_eq!(case.ready().status, Verdict::True);
    }
}

#[test]
fn behind_a_pooler_components_wait_until_the_cluster_was_healthy() {
    let mut case = case();
    let usable = |case: &Case| {
        let managed = case.plan.database.managed().unwrap();
        case.world.database_facts(managed).usable
    };
    assert!(usable(&case));
    // An instance serves, but the role of PgBouncer is not there before all do.
    change_cluster(&mut case, |cluster| {
        cluster.phase = "Waiting for the instances to become active".into();
        cluster.ready = 1;
    });
    assert!(!usable(&case));
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! What the chart grants is what the operator uses, request by request of the API server's audit log, and nothing is refused.

mod support;

use std::{collections::BTreeSet, fs, time::Duration};

use serde_json::{Value, json};
use support::{
    Bed, Space, controllers, database,
    process::{Process, chart},
    samples,
    space::PATIENCE,
};

/// Group, resource with subresource, verb.
type Right = (String, String, String);

fn right(group: &str, resource: &str, verb: &str) -> Right {
    (group.to_owned(), resource.to_owned(), verb.to_owned())
}

/// What the chart's roles grant with these values, and the manifests themselves.
fn granted(values: &[&str]) -> (BTreeSet<Right>, Vec<Value>) {
    let mut roles = chart(values);
    roles.retain(|object| {
        let kind = object["kind"].as_str().unwrap_or_default();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        // Those for the people of a namespace are not the operator's.
        kind.contains("Role") && !name.contains("-portals-")
    });
    let mut rights = BTreeSet::new();
    for rule in roles
        .iter()
        .filter_map(|role| role["rules"].as_array())
        .flatten()
    {
        let words = |field: &str| {
            let list = rule[field].as_array().cloned().unwrap_or_default();
            list.into_iter()
                .map(|word| word.as_str().unwrap().to_owned())
        };
        for group in words("apiGroups") {
            for resource in words("resources") {
                for verb in words("verbs") {
                    rights.insert(right(&group, &resource, &verb));
                }
            }
        }
    }
    (rights, roles)
}

/// What the operator asked according to the audit log, and the lines that were refused.
fn used(bed: &Bed) -> (BTreeSet<Right>, Vec<String>) {
    let log = fs::read_to_string(bed.dir().join("audit.log")).unwrap();
    let mut rights = BTreeSet::new();
    let mut refused = Vec::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let object = &event["objectRef"];
        // Discovery is open to everybody who is authenticated.
        if !object.is_object() || object["resource"].is_null() {
            continue;
        }
        let mut resource = object["resource"].as_str().unwrap().to_owned();
        if let Some(subresource) = object["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        let group = object["apiGroup"].as_str().unwrap_or_default();
        let verb = event["verb"].as_str().unwrap();
        if event["responseStatus"]["code"] == 403 {
            refused.push(line.to_owned());
        }
        rights.insert(right(group, &resource, verb));
        // A patch that creates the object needs both.
        if verb == "patch" && event["responseStatus"]["code"] == 201 {
            rights.insert(right(group, &resource, "create"));
        }
    }
    (rights, refused)
}

/// Makes the operator do everything that it can.
async fn everything(space: &Space) {
    let _controllers = controllers::play(space);
    let _cloudnative_pg = database::play(space);
    space
        .create(json!({"kind": "Secret", "metadata": {"name": "token", "labels": {"portalplatform.dev/reload": "true"}},
            "stringData": {"TOKEN": "a"}}))
        .await;
    let mut portal = samples::ingress();
    portal["spec"]["components"] = json!([
        {"name": "app", "image": "registry.local/app:1", "path": "/", "envFrom": [{"secretRef": {"name": "token"}}]},
        {"name": "worker", "image": "registry.local/worker:1"},
    ]);
    portal["spec"]["database"] = json!({"reclaimPolicy": "Delete"});
    portal["spec"]["backup"] = samples::backup();
    space.apply_portal_value(portal.clone()).await;
    space.wait_ready("portal").await;

    // Everything that an edit can make superfluous.
    portal["spec"]["exposure"] = json!({"gatewayRef": {"name": "public", "namespace": "infra"}});
    space.apply_portal_value(portal.clone()).await;
    for (kind, name) in [("Ingress", "portal"), ("Certificate", "portal")] {
        gone(space, kind, name).await;
    }
    space.wait_ready("portal").await;
    let mut bare = portal.clone();
    bare["spec"]["profile"] = json!("Ephemeral");
    bare["spec"]["network"] = json!({"policy": "Open"});
    bare["spec"]["exposure"] = json!({"mode": "None"});
    bare["spec"].as_object_mut().unwrap().remove("config");
    bare["spec"].as_object_mut().unwrap().remove("backup");
    bare["spec"]["components"].as_array_mut().unwrap().pop();
    space.apply_portal_value(bare).await;
    for (kind, name) in [
        ("HTTPRoute", "portal"),
        ("Pooler", "portal-db-pooler"),
        ("ScheduledBackup", "portal-db"),
        ("CronJob", "portal-db-archive"),
        ("Deployment", "portal-worker"),
        ("HorizontalPodAutoscaler", "portal-app"),
        ("PodDisruptionBudget", "portal-app"),
        ("NetworkPolicy", "portal-app"),
        ("ConfigMap", "portal-config"),
        ("Service", "portal-worker"),
    ] {
        gone(space, kind, name).await;
    }
    space.wait_ready("portal").await;

    // Ready turns until an event is repeated: it names the number of pods, which may still be another one the first time.
    for image in [
        "registry.local/app:image-pull-error",
        "registry.local/app:2",
        "registry.local/app:image-pull-error",
        "registry.local/app:2",
    ] {
        portal["spec"]["components"][0]["image"] = json!(image);
        space.apply_portal_value(portal.clone()).await;
        let good = !image.contains("error");
        space
            .wait_portal("portal", "is as its image", |portal| {
                let ready = support::condition(portal, "Ready");
                (ready["status"] == "True") == good
                    && ready["observedGeneration"] == portal["metadata"]["generation"]
            })
            .await;
    }
    space.delete("Service", "portal-app").await;
    space
        .wait_object("Service", "portal-app", "is made again", Value::is_object)
        .await;
    space.delete("PortalPlatform", "portal").await;
}

async fn gone(space: &Space, kind: &str, name: &str) {
    space
        .wait_object(kind, name, "is gone", |object| {
            object.is_null() || object["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
}

async fn compare(bed: &Bed, granted: &BTreeSet<Right>) {
    // The log is written behind the answers.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    loop {
        let (used, refused) = used(bed);
        let unused: Vec<_> = granted.difference(&used).collect();
        let missing: Vec<_> = used.difference(granted).collect();
        if unused.is_empty() && missing.is_empty() && refused.is_empty() {
            println!("{} rights granted, all used, none refused", granted.len());
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "granted but not used: {unused:#?}\nused but not granted: {missing:#?}\nrefused: {refused:#?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn apply(bed: &Bed, roles: &[Value]) {
    let file = bed.dir().join("roles.json");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": roles});
    fs::write(&file, list.to_string()).unwrap();
    let file = file.to_str().unwrap();
    bed.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file])
        .await;
}

/// What a right needs that only another replica asks: it stands by, takes over, and goes.
async fn hand_over(bed: &Bed, space: &Space, arguments: &[&str]) -> Process {
    let first = Process::start(bed, "first", arguments).await;
    space
        .wait_for(PATIENCE, "the first leads", || async {
            first.log().contains("leading").then_some(())
        })
        .await;
    let second = Process::start(bed, "second", arguments).await;
    space
        .wait_for(PATIENCE, "the second watches the lease", || async {
            used(bed)
                .0
                .contains(&right("coordination.k8s.io", "leases", "watch"))
                .then_some(())
        })
        .await;
    first.stop().await;
    second
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_wide_the_operator_uses_every_right_that_the_chart_grants_and_no_other() {
    let bed = Bed::own("rbac").await;
    let (rights, roles) = granted(&["reload: {enabled: true}"]);
    apply(&bed, &roles).await;
    let space = Space::new(&bed, "audit").await;
    let second = hand_over(&bed, &space, &["--reload=true"]).await;
    everything(&space).await;
    second.stop().await;
    compare(&bed, &rights).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_to_namespaces_the_operator_needs_no_cluster_role() {
    let bed = Bed::own("rbac-namespaced").await;
    let spaces = [Space::new(&bed, "one").await, Space::new(&bed, "two").await];
    let names = spaces.each_ref().map(|space| space.namespace.clone());
    let watched = format!("watchNamespaces: [{}]", names.join(", "));
    let (rights, roles) = granted(&["reload: {enabled: true}", &watched]);
    assert!(
        roles
            .iter()
            .all(|role| !role["kind"].as_str().unwrap().starts_with("Cluster")),
        "{roles:#?}"
    );
    // The harness installed the cluster-wide roles.
    for kind in ["clusterrolebinding", "clusterrole"] {
        bed.kubectl(&["delete", kind, "portal-operator"]).await;
    }
    apply(&bed, &roles).await;
    let arguments = format!("--watch-namespaces={}", names.join(","));
    let second = hand_over(&bed, &spaces[0], &["--reload=true", &arguments]).await;
    for space in &spaces {
        everything(space).await;
    }
    second.stop().await;
    compare(&bed, &rights).await;
}

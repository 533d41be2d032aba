//! An edit of the spec changes what it says and nothing else, and taking it back leaves no trace: A → B → A equals A.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{
    Operator, Space, condition,
    shape::{difference, shapes},
};

/// A portal that says something in every place that an edit can take back.
fn rich() -> Value {
    json!({
        "metadata": {"name": "portal"},
        "spec": {
            "profile": "Staging",
            "preset": "Generic",
            "size": "Small",
            "host": "portal.example.com",
            "imagePullSecrets": [{"name": "registry"}],
            "components": [
                {
                    "name": "app",
                    "image": "registry.local/app:1",
                    "port": 8000,
                    "path": "/",
                    "command": ["serve"],
                    "args": ["--all"],
                    "env": [{"name": "LOG_LEVEL", "value": "info"}],
                    "envFrom": [{"secretRef": {"name": "tokens"}}],
                    "scaling": {"minReplicas": 2, "maxReplicas": 5, "cpu": {"averageUtilization": 60}},
                    "placement": {"nodeSelector": {"kubernetes.io/os": "linux"}},
                    "probes": {"liveness": {"path": "/live"}},
                },
                {"name": "worker", "image": "registry.local/worker:1", "critical": false},
            ],
            "config": {
                "appConfig": {"app": {"title": "Acme"}},
                "files": [{"configMapRef": {"name": "extra"}, "mountPath": "/app/extra"}],
            },
            "exposure": {
                "annotations": {"example.com/a": "b"},
                "ingressClassName": "nginx",
                "tls": {"issuerRef": {"name": "letsencrypt"}},
            },
            "network": {
                "allowedDestinations": [{"internet": true, "ports": [443]}],
                "allowedClients": [{"namespace": "monitoring", "ports": ["http"]}],
            },
            "security": {"serviceAccountAnnotations": {"example.com/role": "portal"}},
        },
    })
}

/// How long a busy machine may take for what is done at once otherwise.
const BUSY: Duration = Duration::from_secs(20);

/// One edit: its name, the places it sets (null: takes away), and what objects come (`+`) and go (`-`).
type Edit = (
    &'static str,
    Vec<(&'static str, Value)>,
    &'static [&'static str],
);

const APP: &str = "/components/0";

fn set(spec: &mut Value, place: &str, value: &Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let mut at = spec;
    for part in parent.split('/').skip(1) {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    match key.parse::<usize>() {
        Ok(index) if value.is_null() => {
            at.as_array_mut().unwrap().remove(index);
        }
        Ok(index) => at.as_array_mut().unwrap().insert(index, value.clone()),
        Err(_) if value.is_null() => {
            at.as_object_mut().unwrap().remove(key);
        }
        Err(_) => at[key] = value.clone(),
    }
}

/// Waits until status is about this generation. What was refused on the way is a fault of the test or of the operator.
async fn is_at(space: &Space, operator: &Operator, portal: &Value) {
    let generation = &portal["metadata"]["generation"];
    let what = "status is about the latest generation";
    space
        .wait_portal("portal", what, |portal| {
            portal["status"]["observedGeneration"] == *generation
        })
        .await;
    let refused: Vec<_> = operator
        .child_writes()
        .into_iter()
        .filter(|write| matches!(write.status, Some(400 | 403..=408 | 422)))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

fn names(shapes: &[(String, Value)]) -> BTreeSet<String> {
    shapes.iter().map(|(name, _)| name.clone()).collect()
}

/// How the children differ, object by object and field by field.
fn trace(before: &[(String, Value)], after: &[(String, Value)]) -> Vec<String> {
    let all: BTreeSet<_> = names(before).union(&names(after)).cloned().collect();
    let find = |shapes: &[(String, Value)], name: &str| {
        let found = shapes.iter().find(|(other, _)| other == name);
        found.map_or(Value::Null, |(_, shape)| shape.clone())
    };
    all.iter()
        .flat_map(|name| {
            difference(&find(before, name), &find(after, name))
                .into_iter()
                .map(move |found| format!("{name}{found}"))
        })
        .collect()
}

/// Makes each edit and takes it back.
async fn come_and_go(prefix: &str, edits: Vec<Edit>) {
    let (space, operator) = Space::with_operator(prefix).await;
    let portal = space.apply_portal_value(rich()).await;
    is_at(&space, &operator, &portal).await;
    operator.settle().await;
    let before = shapes(&space).await;
    for (edit, places, expected) in edits {
        let mut changed = rich();
        for (place, value) in &places {
            set(&mut changed["spec"], place, value);
        }
        let portal = space.apply_portal_value(changed).await;
        is_at(&space, &operator, &portal).await;
        let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
        let what = format!("{edit}: changes something, and the objects {expected:?}");
        space
            .wait_for(BUSY, &what, || async {
                let within = shapes(&space).await;
                let (was, is) = (names(&before), names(&within));
                let came = is.difference(&was).map(|name| format!("+{name}"));
                let went = was.difference(&is).map(|name| format!("-{name}"));
                let moved: BTreeSet<String> = came.chain(went).collect();
                (within != before && moved == expected).then_some(())
            })
            .await;

        let portal = space.apply_portal_value(rich()).await;
        is_at(&space, &operator, &portal).await;
        let begin = Instant::now();
        loop {
            let after = shapes(&space).await;
            if after == before {
                break;
            }
            // A request that a busy server did not answer in time is tried again.
            assert!(
                begin.elapsed() < BUSY,
                "{edit} leaves a trace: {:#?}",
                trace(&before, &after)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_a_component_come_and_go_without_a_trace() {
    let app = |field: &'static str| -> &'static str {
        Box::leak(format!("{APP}/{field}").into_boxed_str())
    };
    let edits: Vec<Edit> = vec![
        (
            "image",
            vec![(app("image"), json!("registry.local/app:2"))],
            &[],
        ),
        ("port", vec![(app("port"), json!(9000))], &[]),
        (
            "port taken away",
            vec![(app("port"), Value::Null), ("/preset", json!("Backstage"))],
            &[],
        ),
        ("path", vec![(app("path"), json!("/app"))], &[]),
        (
            "path taken away",
            vec![(app("path"), Value::Null)],
            &["-Ingress portal", "-Certificate portal"],
        ),
        ("command", vec![(app("command"), Value::Null)], &[]),
        (
            "args",
            vec![(app("args"), json!(["--some", "--other"]))],
            &[],
        ),
        ("args taken away", vec![(app("args"), Value::Null)], &[]),
        (
            "env",
            vec![(app("env"), json!([{"name": "OTHER", "value": "1"}]))],
            &[],
        ),
        (
            "env of a Secret",
            vec![(
                app("env"),
                json!([{"name": "LOG_LEVEL", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            )],
            &[],
        ),
        ("env taken away", vec![(app("env"), Value::Null)], &[]),
        (
            "envFrom",
            vec![(
                app("envFrom"),
                json!([{"configMapRef": {"name": "c"}, "prefix": "P_"}]),
            )],
            &[],
        ),
        (
            "envFrom taken away",
            vec![(app("envFrom"), Value::Null)],
            &[],
        ),
        (
            "resources",
            vec![(
                app("resources"),
                json!({"requests": {"cpu": "100m"}, "limits": {"memory": "3Gi"}}),
            )],
            &[],
        ),
        (
            "another component",
            vec![(
                "/components/2",
                json!({"name": "web", "image": "registry.local/web:1"}),
            )],
            &[
                "+Deployment portal-web",
                "+Service portal-web",
                "+ConfigMap portal-web",
                "+NetworkPolicy portal-web",
                "+HorizontalPodAutoscaler portal-web",
                "+PodDisruptionBudget portal-web",
            ],
        ),
        (
            "a component less",
            vec![("/components/1", Value::Null)],
            &[
                "-Deployment portal-worker",
                "-Service portal-worker",
                "-ConfigMap portal-worker",
                "-NetworkPolicy portal-worker",
                "-HorizontalPodAutoscaler portal-worker",
                "-PodDisruptionBudget portal-worker",
            ],
        ),
        (
            "probes",
            vec![(
                app("probes"),
                json!({"readiness": {"path": "/r"}, "startup": {"timeout": "2m"}}),
            )],
            &[],
        ),
        ("probes taken away", vec![(app("probes"), Value::Null)], &[]),
        (
            "webSocket",
            vec![(app("webSocket"), json!({"affinity": "ClientIP"}))],
            &[],
        ),
    ];
    come_and_go("removal-app", edits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_scaling_and_placement_come_and_go_without_a_trace() {
    let app = |field: &'static str| -> &'static str {
        Box::leak(format!("{APP}/{field}").into_boxed_str())
    };
    let edits: Vec<Edit> = vec![
        (
            "profile Production",
            vec![("/profile", json!("Production"))],
            &[],
        ),
        (
            "profile Development",
            vec![
                ("/profile", json!("Development")),
                ("/network", Value::Null),
            ],
            &[
                "-NetworkPolicy portal-app",
                "-NetworkPolicy portal-worker",
                "-HorizontalPodAutoscaler portal-worker",
                "-PodDisruptionBudget portal-worker",
            ],
        ),
        ("size", vec![("/size", json!("Large"))], &[]),
        ("size taken away", vec![("/size", Value::Null)], &[]),
        (
            "minReplicas",
            vec![(app("scaling/minReplicas"), json!(3))],
            &[],
        ),
        (
            "maxReplicas",
            vec![(app("scaling/maxReplicas"), json!(9))],
            &[],
        ),
        ("cpu target", vec![(app("scaling/cpu"), Value::Null)], &[]),
        (
            "memory target",
            vec![(app("scaling/memory"), json!({"averageUtilization": 50}))],
            &[],
        ),
        (
            "behavior",
            vec![(
                app("scaling/behavior"),
                json!({"scaleDown": {"stabilizationWindowSeconds": 60}}),
            )],
            &[],
        ),
        (
            "mode Manual",
            vec![(app("scaling"), json!({"mode": "Manual"}))],
            &["-HorizontalPodAutoscaler portal-app"],
        ),
        (
            "a fixed number",
            vec![(app("scaling"), json!({"minReplicas": 2, "maxReplicas": 2}))],
            &["-HorizontalPodAutoscaler portal-app"],
        ),
        (
            "one replica",
            vec![(app("scaling"), json!({"minReplicas": 1, "maxReplicas": 1}))],
            &[
                "-HorizontalPodAutoscaler portal-app",
                "-PodDisruptionBudget portal-app",
            ],
        ),
        (
            "nodeSelector",
            vec![(app("placement/nodeSelector"), Value::Null)],
            &[],
        ),
        (
            "spread",
            vec![(
                app("placement/spread"),
                json!({"zones": "Required", "nodes": "None"}),
            )],
            &[],
        ),
        (
            "tolerations",
            vec![(
                app("placement/tolerations"),
                json!([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}]),
            )],
            &[],
        ),
        (
            "priorityClassName",
            vec![(app("placement/priorityClassName"), json!("high"))],
            &[],
        ),
        (
            "capacity",
            vec![
                (app("critical"), json!(false)),
                (app("placement/capacity"), json!("Spot")),
            ],
            &[],
        ),
    ];
    come_and_go("removal-scaling", edits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_configuration_exposure_and_network_come_and_go_without_a_trace() {
    let edits: Vec<Edit> = vec![
        (
            "imagePullSecrets",
            vec![("/imagePullSecrets", json!([{"name": "other"}]))],
            &[],
        ),
        (
            "imagePullSecrets taken away",
            vec![("/imagePullSecrets", Value::Null)],
            &[],
        ),
        (
            "appConfig",
            vec![("/config/appConfig/app/title", json!("Other"))],
            &[],
        ),
        (
            "appConfig taken away",
            vec![("/config/appConfig", Value::Null)],
            &["-ConfigMap portal-config"],
        ),
        (
            "files",
            vec![(
                "/config/files/1",
                json!({"secretRef": {"name": "keys"}, "mountPath": "/keys"}),
            )],
            &[],
        ),
        (
            "files taken away",
            vec![("/config/files", Value::Null)],
            &[],
        ),
        ("host", vec![("/host", json!("other.example.com"))], &[]),
        (
            "host taken away",
            vec![
                ("/host", Value::Null),
                ("/components/0/path", Value::Null),
                ("/exposure", Value::Null),
            ],
            &["-Ingress portal", "-Certificate portal"],
        ),
        (
            "mode None",
            vec![("/exposure", json!({"mode": "None"}))],
            &["-Ingress portal", "-Certificate portal"],
        ),
        (
            "annotations",
            vec![("/exposure/annotations", json!({"example.com/c": "d"}))],
            &[],
        ),
        (
            "annotations taken away",
            vec![("/exposure/annotations", Value::Null)],
            &[],
        ),
        (
            "ingressClassName",
            vec![("/exposure/ingressClassName", Value::Null)],
            &[],
        ),
        (
            "controllerNamespace",
            vec![("/exposure/controllerNamespace", json!("ingress-nginx"))],
            &[],
        ),
        (
            "issuer",
            vec![(
                "/exposure/tls/issuerRef",
                json!({"kind": "Issuer", "name": "own"}),
            )],
            &[],
        ),
        (
            "tls of a Secret",
            vec![("/exposure/tls", json!({"secretRef": {"name": "own"}}))],
            &["-Certificate portal"],
        ),
        (
            "tls taken away",
            vec![("/exposure/tls", Value::Null)],
            &["-Certificate portal"],
        ),
        (
            "a Gateway",
            vec![(
                "/exposure",
                json!({"gatewayRef": {"name": "public", "namespace": "infra"}, "timeouts": {"request": "5s"}}),
            )],
            &[
                "-Ingress portal",
                "-Certificate portal",
                "+HTTPRoute portal",
            ],
        ),
        (
            "policy Open",
            vec![("/network", json!({"policy": "Open"}))],
            &["-NetworkPolicy portal-app", "-NetworkPolicy portal-worker"],
        ),
        (
            "allowedDestinations",
            vec![(
                "/network/allowedDestinations",
                json!([{"cidr": "10.0.0.0/8", "ports": [5432]}]),
            )],
            &[],
        ),
        (
            "allowedDestinations taken away",
            vec![("/network/allowedDestinations", Value::Null)],
            &[],
        ),
        (
            "allowedClients",
            vec![("/network/allowedClients", Value::Null)],
            &[],
        ),
        (
            "serviceAccountAnnotations",
            vec![("/security", Value::Null)],
            &[],
        ),
    ];
    come_and_go("removal-rest", edits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_that_concern_the_status_only_write_no_child() {
    let (space, operator) = Space::with_operator("removal-status").await;
    let portal = space.apply_portal_value(rich()).await;
    is_at(&space, &operator, &portal).await;
    operator.settle().await;
    let written = operator.child_writes().len();
    let edits = [
        ("/components/1/critical", json!(true)),
        (
            "/policies",
            json!([{"name": "Replicated", "waiver": {"reason": "migration", "until": "2099-01-01T00:00:00Z"}}]),
        ),
        ("/suspend", json!(true)),
    ];
    for (place, value) in edits {
        let mut changed = rich();
        set(&mut changed["spec"], place, &value);
        let portal = space.apply_portal_value(changed).await;
        is_at(&space, &operator, &portal).await;
    }
    assert_eq!(operator.child_writes().len(), written);
    let portal = space.portal("portal").await;
    assert!(!condition(&portal, "Ready").is_null());
}

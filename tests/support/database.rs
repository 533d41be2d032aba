//! A stand-in for CloudNativePG: it makes pods for every Cluster and Pooler and reports what the real one reported.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::space::Space;

/// Plays CloudNativePG in one namespace until it is dropped.
pub struct CloudNativePg(JoinHandle<()>);

impl Drop for CloudNativePg {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to play it.
pub fn play(space: &Space) -> CloudNativePg {
    let clusters = space.api("Cluster");
    let poolers = space.api("Pooler");
    let pods = space.api("Pod");
    let stores = space.api("ObjectStore");
    CloudNativePg(tokio::spawn(async move {
        loop {
            report_backups(&clusters, &stores).await;
            for api in [&clusters, &poolers] {
                let Ok(list) = api.list(&ListParams::default()).await else {
                    continue;
                };
                for item in list.items {
                    let object = serde_json::to_value(&item).unwrap();
                    if object["status"]["phase"].is_string() {
                        continue;
                    }
                    let name = item.metadata.name.clone().unwrap_or_default();
                    for pod in instance_pods(&object) {
                        let pod = serde_json::from_value(pod).unwrap();
                        // A pod of a former round may be there.
                        let _ = pods.create(&PostParams::default(), &pod).await;
                    }
                    let status = if object["kind"] == "Pooler" {
                        json!({"phase": "active", "instances": object["spec"]["instances"]})
                    } else {
                        healthy(&object)
                    };
                    let patch = Patch::Merge(json!({"status": status}));
                    // The object may be gone by now.
                    let _ = api
                        .patch_status(&name, &PatchParams::default(), &patch)
                        .await;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }))
}

/// What the plugin reports of the backups of every Cluster that it archives.
async fn report_backups(clusters: &Api<DynamicObject>, stores: &Api<DynamicObject>) {
    let Ok(list) = clusters.list(&ListParams::default()).await else {
        return;
    };
    for item in list.items {
        let cluster = serde_json::to_value(&item).unwrap();
        let parameters = &cluster["spec"]["plugins"][0]["parameters"];
        let (Some(store), Some(server)) = (
            parameters["barmanObjectName"].as_str(),
            parameters["serverName"].as_str(),
        ) else {
            continue;
        };
        let Ok(live) = stores.get(store).await else {
            continue;
        };
        if !live.data["status"]["serverRecoveryWindow"][server].is_null() {
            continue;
        }
        let now = Timestamp::now().to_string();
        let window = json!({"firstRecoverabilityPoint": now, "lastSuccessfulBackupTime": now});
        let patch = Patch::Merge(json!({"status": {"serverRecoveryWindow": {server: window}}}));
        // It may be gone by now.
        let _ = stores
            .patch_status(store, &PatchParams::default(), &patch)
            .await;
    }
}

/// What a primary answers that has archived all it has written.
pub fn archived() -> Value {
    json!({
        "isPrimary": true, "timeLineID": 1, "currentLsn": "0/6000060",
        "lastArchivedWAL": "000000010000000000000006", "isArchivingWAL": true,
    })
}

/// What a Cluster reports when it has nothing left to do.
pub fn healthy(cluster: &Value) -> Value {
    let name = cluster["metadata"]["name"].as_str().unwrap();
    json!({
        "phase": "Cluster in healthy state",
        "instances": cluster["spec"]["instances"],
        "readyInstances": cluster["spec"]["instances"],
        "currentPrimary": format!("{name}-1"),
        "targetPrimary": format!("{name}-1"),
        "secretsResourceVersion": {"applicationSecretVersion": "7"},
        "conditions": [{
            "type": "ContinuousArchiving", "status": "True", "reason": "ContinuousArchivingSuccess",
            "message": "Continuous archiving is working", "lastTransitionTime": "2026-11-21T08:00:00Z",
        }],
    })
}

/// The pods of a Cluster or Pooler, with the labels that CloudNativePG gives them.
fn instance_pods(object: &Value) -> Vec<Value> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap();
    let inherited = if object["kind"] == "Pooler" {
        &object["spec"]["template"]["metadata"]["labels"]
    } else {
        &object["spec"]["inheritedMetadata"]["labels"]
    };
    let mut labels = inherited.clone();
    let mut archiver = json!([]);
    if object["kind"] == "Cluster" {
        labels["cnpg.io/podRole"] = json!("instance");
        if object["spec"]["plugins"].is_array() {
            archiver = json!([{
                "name": "plugin-barman-cloud", "image": "registry.local/plugin:1", "restartPolicy": "Always",
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }]);
        }
    }
    let count = object["spec"]["instances"].as_i64().unwrap();
    (1..=count)
        .map(|index| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": format!("{name}-{index}"),
                    "labels": labels,
                    "ownerReferences": [{
                        "apiVersion": "postgresql.cnpg.io/v1", "kind": object["kind"], "name": name,
                        "uid": metadata["uid"], "controller": true,
                    }],
                },
                "spec": {
                    "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                    "topologySpreadConstraints": [{
                        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": {"matchLabels": inherited},
                    }],
                    "initContainers": archiver,
                    "containers": [{
                        "name": "postgres", "image": "registry.local/postgresql:17",
                        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    }],
                },
            })
        })
        .collect()
}

//! Stand-ins for the controllers of other projects: they accept every route, issue every certificate and give every Ingress an
//! address.

use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::space::Space;

/// Plays the controllers in one namespace until it is dropped.
pub struct Controllers(JoinHandle<()>);

impl Drop for Controllers {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to play them.
pub fn play(space: &Space) -> Controllers {
    let apis: Vec<_> = ["HTTPRoute", "Certificate", "Ingress"]
        .into_iter()
        .map(|kind| (kind, space.api(kind)))
        .collect();
    Controllers(tokio::spawn(async move {
        loop {
            for (kind, api) in &apis {
                let Ok(list) = api.list(&ListParams::default()).await else {
                    continue;
                };
                for item in list.items {
                    let object = serde_json::to_value(&item).unwrap();
                    if let Some(status) = good_status(kind, &object) {
                        let name = item.metadata.name.as_deref().unwrap_or_default();
                        let patch = Patch::Merge(json!({"status": status}));
                        // The object may be gone by now.
                        let _ = api
                            .patch_status(name, &PatchParams::default(), &patch)
                            .await;
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }))
}

/// The status that a controller would write, unless it is there.
fn good_status(kind: &str, object: &Value) -> Option<Value> {
    let generation = &object["metadata"]["generation"];
    match kind {
        "HTTPRoute" => {
            let current = object["status"]["parents"][0]["conditions"]
                .as_array()
                .is_some_and(|conditions| {
                    conditions
                        .iter()
                        .all(|condition| condition["observedGeneration"] == *generation)
                });
            (!current).then(|| route_status(object, "Accepted", "True", "Accepted", ""))
        }
        "Certificate" => {
            let ready = &object["status"]["conditions"][0];
            (ready["observedGeneration"] != *generation)
                .then(|| certificate_status(object, "True", "Ready", "Certificate is up to date"))
        }
        _ => object["status"]["loadBalancer"]["ingress"]
            .is_null()
            .then(|| json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}})),
    }
}

/// Status of an HTTPRoute whose condition `type_` is as told, and whose other condition is True.
pub fn route_status(
    route: &Value,
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
) -> Value {
    let generation = &route["metadata"]["generation"];
    let conditions: Vec<Value> = ["Accepted", "ResolvedRefs"]
        .into_iter()
        .map(|name| {
            let (status, reason, message) = if name == type_ {
                (status, reason, message)
            } else {
                ("True", name, "")
            };
            json!({
                "type": name, "status": status, "reason": reason, "message": message,
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({"parents": [{
        "parentRef": route["spec"]["parentRefs"][0],
        "controllerName": "example.com/gateway",
        "conditions": conditions,
    }]})
}

/// Status of a Certificate with its condition Ready as told, valid for 60 days if it is True.
pub fn certificate_status(certificate: &Value, status: &str, reason: &str, message: &str) -> Value {
    let now = k8s_openapi::jiff::Timestamp::now();
    let hours = |count: i64| {
        let time = now + k8s_openapi::jiff::SignedDuration::from_hours(count);
        portal_operator::assess::time_text(time)
    };
    json!({
        "conditions": [{
            "type": "Ready", "status": status, "reason": reason, "message": message,
            "observedGeneration": certificate["metadata"]["generation"],
            "lastTransitionTime": hours(0),
        }],
        "notBefore": hours(0),
        "notAfter": hours(60 * 24),
        "renewalTime": hours(30 * 24),
    })
}

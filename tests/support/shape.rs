//! Objects without what differs from one life to the next, for comparison.

use serde_json::{Value, json};

use super::space::{Space, name_of};

/// What an object asks for, and what the operator owns of it; without uids, versions, times, status and what other writers own.
pub fn shape(object: &Value) -> Value {
    let mut shape = object.clone();
    let Some(fields) = shape.as_object_mut() else {
        return Value::Null;
    };
    fields.remove("status");
    let owned = owned_fields(object);
    let metadata = &mut shape["metadata"];
    for name in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
    ] {
        metadata.as_object_mut().unwrap().remove(name);
    }
    for reference in metadata["ownerReferences"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        reference["uid"] = json!("masked");
    }
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        // Counts the rollouts of a Deployment's life.
        annotations.remove("deployment.kubernetes.io/revision");
    }
    if metadata["annotations"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        metadata.as_object_mut().unwrap().remove("annotations");
    }
    if object["kind"] == "Service" {
        for name in ["clusterIP", "clusterIPs"] {
            shape["spec"].as_object_mut().unwrap().remove(name);
        }
    }
    if object["kind"] == "Deployment" && owned["f:spec"]["f:replicas"].is_null() {
        // Somebody else's number.
        shape["spec"].as_object_mut().unwrap().remove("replicas");
    }
    shape["owned"] = owned;
    shape
}

/// The fields that the operator's main manager owns; null for none.
pub fn owned_fields(object: &Value) -> Value {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == "portal-operator" && entry["operation"] == "Apply")
        .map(|entry| entry["fieldsV1"].clone())
        .unwrap_or_default()
}

/// The shapes of everything that the operator made in a namespace.
pub async fn shapes(space: &Space) -> Vec<(String, Value)> {
    let children = space.children().await;
    children
        .iter()
        .map(|child| (name_of(child), shape(child)))
        .collect()
}

/// Says how two shapes differ: the paths of the fields, with both values.
pub fn difference(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn compare(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let (a, b) = (
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                );
                compare(&format!("{path}.{key}"), a, b, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {left} != {right}")),
    }
}

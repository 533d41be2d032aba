//! What is read of pods, volumes and nodes: a few fields, cut from the objects as they arrive.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde::Deserialize;

use crate::{
    children::live::{LiveCondition, Thin},
    foreign::{
        barman::SIDECAR,
        cloudnative_pg::{INSTANCE_ROLE, ROLE_LABEL, VOLUME_ROLE_LABEL},
    },
    observe::{Node, Pod, PodTrouble, Volume},
    plan::{backup::ARCHIVE_COMPONENT, database::COMPONENT, identity::COMPONENT_LABEL},
};

/// A pod, as far as it is read.
pub type LivePod = Thin<PodSpec, PodStatus>;
/// A `PersistentVolumeClaim`, as far as it is read.
pub type LiveVolume = Thin<VolumeSpec, VolumeStatus>;
/// A node, as far as it is read.
pub type LiveNode = Thin<NodeSpec, NodeStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct PodSpec {
    pub node_name: Option<String>,
    pub init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct Container {
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct PodStatus {
    pub phase: String,
    pub reason: String,
    pub message: String,
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    pub conditions: Vec<LiveCondition>,
    pub init_container_statuses: Vec<ContainerStatus>,
    pub container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct ContainerStatus {
    pub ready: bool,
    pub started: Option<bool>,
    pub restart_count: i32,
    pub state: ContainerState,
    pub last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct ContainerState {
    pub waiting: Option<Waiting>,
    pub running: Option<Running>,
    pub terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct Waiting {
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct Running {
    pub started_at: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct Terminated {
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct VolumeSpec {
    pub resources: VolumeResources,
    pub storage_class_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct VolumeResources {
    pub requests: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct VolumeStatus {
    pub capacity: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct NodeSpec {
    pub unschedulable: bool,
    pub taints: Vec<Taint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct Taint {
    pub key: String,
    pub value: String,
    pub effect: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct NodeStatus {
    pub conditions: Vec<LiveCondition>,
}

/// The facts of a pod.
#[must_use]
pub fn pod(live: &LivePod) -> Pod {
    let label = |name: &str| live.labels().get(name).cloned().unwrap_or_default().into();
    let ready = LiveCondition::find(&live.status.conditions, "Ready")
        .is_some_and(|condition| condition.status == "True");
    let component: Box<str> = label(COMPONENT_LABEL);
    let is = |name: &str| *component == *name;
    Pod {
        name: live.name_any().into(),
        address: live
            .status
            .pod_ip
            .as_deref()
            .filter(|_| is(COMPONENT))
            .map(Into::into),
        archiver: (live.labels().get(ROLE_LABEL).map(String::as_str) == Some(INSTANCE_ROLE)).then(
            || {
                let containers = &live.spec.init_containers;
                containers.iter().any(|container| container.name == SIDECAR)
            },
        ),
        record: is(ARCHIVE_COMPONENT)
            .then(|| record(&live.status))
            .flatten(),
        template: label("pod-template-hash"),
        node: live.spec.node_name.as_deref().map(Into::into),
        ready,
        deleting: live.metadata.deletion_timestamp.is_some(),
        trouble: if ready { None } else { trouble(&live.status) },
        component,
    }
}

/// What the last container that ended left behind.
fn record(status: &PodStatus) -> Option<Box<str>> {
    status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .filter_map(|container| container.state.terminated.as_ref())
        .map(|ended| ended.message.trim())
        .rfind(|message| !message.is_empty())
        .map(Into::into)
}

fn trouble(status: &PodStatus) -> Option<PodTrouble> {
    match status.phase.as_str() {
        "Failed" => {
            let text = format!("{} {}", status.reason, status.message);
            return Some(PodTrouble::Failed(text.trim().into()));
        }
        // A pod of a Job that did what it was for.
        "Succeeded" => return None,
        _ => {}
    }
    if let Some(scheduled) = LiveCondition::find(&status.conditions, "PodScheduled")
        && scheduled.status == "False"
    {
        return Some(PodTrouble::Unschedulable(scheduled.message.as_str().into()));
    }
    let unready_since = LiveCondition::find(&status.conditions, "Ready")
        .and_then(|ready| ready.last_transition_time.as_deref())
        .unwrap_or_default();
    let mut initial = status.init_container_statuses.iter();
    let main = status.container_statuses.iter();
    initial
        .find_map(|container| container_trouble(container, None))
        .or_else(|| {
            main.into_iter()
                .find_map(|container| container_trouble(container, Some(unready_since)))
        })
}

/// `unready_since`: when the pod stopped being ready, or became a pod; `None` for a container that runs before the others.
fn container_trouble(
    container: &ContainerStatus,
    unready_since: Option<&str>,
) -> Option<PodTrouble> {
    if container.ready {
        return None;
    }
    let ended = container
        .state
        .terminated
        .as_ref()
        .or(container.last_state.terminated.as_ref());
    if let Some(waiting) = &container.state.waiting {
        match (waiting.reason.as_str(), ended) {
            ("CrashLoopBackOff", Some(ended)) => return Some(crashing(container, ended)),
            // The usual steps of a start, not a trouble.
            ("ContainerCreating" | "PodInitializing" | "", _) => return None,
            (reason, _) => {
                return Some(PodTrouble::Waiting {
                    reason: reason.into(),
                    message: waiting.message.as_str().into(),
                });
            }
        }
    }
    if let Some(ended) = &container.state.terminated
        && ended.exit_code != 0
    {
        return Some(crashing(container, ended));
    }
    if container.started == Some(true) {
        // One that was never ready since it runs is about to be. Times of this form compare as texts.
        let running = container.state.running.as_ref();
        let lost = running.zip(unready_since).is_some_and(|(running, since)| {
            !running.started_at.is_empty() && since > running.started_at.as_str()
        });
        return Some(if lost {
            PodTrouble::NotReady
        } else {
            PodTrouble::Starting
        });
    }
    match ended {
        // One that ended well was told to, such as a former primary that becomes a standby.
        Some(ended) if container.restart_count > 0 && ended.exit_code != 0 => {
            Some(crashing(container, ended))
        }
        _ => Some(PodTrouble::Starting),
    }
}

fn crashing(container: &ContainerStatus, ended: &Terminated) -> PodTrouble {
    PodTrouble::Crashing {
        exit_code: ended.exit_code,
        reason: ended.reason.as_str().into(),
        restarts: container.restart_count,
    }
}

/// The facts of a volume.
#[must_use]
pub fn volume(live: &LiveVolume) -> Volume {
    let storage =
        |sizes: &BTreeMap<String, String>| sizes.get("storage").map_or("", String::as_str).into();
    Volume {
        name: live.name_any().into(),
        role: live
            .labels()
            .get(VOLUME_ROLE_LABEL)
            .map_or("", String::as_str)
            .into(),
        requested: storage(&live.spec.resources.requests),
        capacity: storage(&live.status.capacity),
        class: live.spec.storage_class_name.as_str().into(),
    }
}

/// The facts of a node.
#[must_use]
pub fn node(live: &LiveNode) -> Node {
    let ready = LiveCondition::find(&live.status.conditions, "Ready")
        .is_some_and(|condition| condition.status == "True");
    Node {
        zone: live
            .labels()
            .get("topology.kubernetes.io/zone")
            .map(|zone| zone.as_str().into()),
        usable: ready && !live.spec.unschedulable,
        taints: live
            .spec
            .taints
            .iter()
            .map(|taint| {
                (
                    taint.key.as_str().into(),
                    taint.value.as_str().into(),
                    taint.effect.as_str().into(),
                )
            })
            .collect(),
        labels: live
            .labels()
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect(),
    }
}

#[cfg(test)]
mod tests;

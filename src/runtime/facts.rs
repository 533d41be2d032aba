//! What is read of pods and nodes: a few fields, cut from the objects as they arrive.

use kube::ResourceExt;
use serde::Deserialize;

use crate::{
    children::live::{LiveCondition, Thin},
    observe::{Node, Pod, PodTrouble},
    plan::identity::COMPONENT_LABEL,
};

/// A pod, as far as it is read.
pub type LivePod = Thin<PodSpec, PodStatus>;
/// A node, as far as it is read.
pub type LiveNode = Thin<NodeSpec, NodeStatus>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct PodSpec {
    pub node_name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct PodStatus {
    pub phase: String,
    pub reason: String,
    pub message: String,
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
pub struct Terminated {
    pub exit_code: i32,
    pub reason: String,
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
    Pod {
        name: live.name_any().into(),
        component: label(COMPONENT_LABEL),
        template: label("pod-template-hash"),
        node: live.spec.node_name.as_deref().map(Into::into),
        ready,
        deleting: live.metadata.deletion_timestamp.is_some(),
        trouble: if ready { None } else { trouble(&live.status) },
    }
}

fn trouble(status: &PodStatus) -> Option<PodTrouble> {
    if status.phase == "Failed" {
        let text = format!("{} {}", status.reason, status.message);
        return Some(PodTrouble::Failed(text.trim().into()));
    }
    if let Some(scheduled) = LiveCondition::find(&status.conditions, "PodScheduled")
        && scheduled.status == "False"
    {
        return Some(PodTrouble::Unschedulable(scheduled.message.as_str().into()));
    }
    status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .find_map(container_trouble)
}

fn container_trouble(container: &ContainerStatus) -> Option<PodTrouble> {
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
        return Some(PodTrouble::NotReady);
    }
    match ended {
        Some(ended) if container.restart_count > 0 => Some(crashing(container, ended)),
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

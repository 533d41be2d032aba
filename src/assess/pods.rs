//! What keeps a pod from serving, in one sentence with the next step.

use super::problems::{Problem, Severity, problem};
use crate::{
    observe::{Pod, PodTrouble, World},
    plan::Component,
};

/// What is said about pods of one kind, besides their trouble.
pub(super) struct Words {
    /// Field of the spec about them.
    field: String,
    /// Field that names the image.
    image: String,
    /// What to raise where memory is too small.
    memory: String,
    /// What is waited for while a pod starts.
    starting: String,
    /// The check that fails, and what to correct.
    check: (String, String),
    /// Whether the spec has a say in the spread.
    spread: bool,
}

impl Words {
    /// About the pods of a component.
    pub(super) fn of_component(component: &Component) -> Self {
        let field = format!("spec.components[{}]", component.name);
        let probes = &component.probes;
        Self {
            image: component.image_field.clone(),
            memory: format!("{field}.resources.limits.memory or size"),
            starting: format!(
                "{} has not answered well yet (up to {} s are allowed)",
                probes.readiness, probes.startup_seconds
            ),
            check: (
                format!("{} on port {}", probes.readiness, component.port),
                format!("{field}.probes.readiness.path"),
            ),
            field,
            spread: true,
        }
    }

    /// About the pods of the database or of its pooler.
    fn of_database() -> Self {
        let field = "spec.database.managed".to_owned();
        Self {
            image: format!("{field}.version or imageName"),
            memory: "spec.size".into(),
            starting: "PostgreSQL does not accept connections yet".into(),
            check: ("of PostgreSQL".into(), format!("{field}.parameters")),
            field,
            spread: false,
        }
    }
}

/// The worst trouble of the pods of the database or of its pooler.
pub(super) fn of_pods(component: &str, counts: &str, world: &World) -> Option<Problem> {
    let words = Words::of_database();
    world
        .pods_of(component)
        .filter_map(|pod| Some((pod, pod.trouble.as_ref()?)))
        .map(|(pod, trouble)| of_pod(&words, counts, pod, trouble))
        .min()
}

/// The trouble of one pod.
pub(super) fn of_pod(words: &Words, counts: &str, pod: &Pod, trouble: &PodTrouble) -> Problem {
    let name = &pod.name;
    let (severity, reason, text) = match trouble {
        PodTrouble::Unschedulable(message) => (
            Severity::Broken,
            "Unschedulable",
            format!(
                "no node takes it: {message}; {}",
                schedule_advice(message, words.spread)
            ),
        ),
        PodTrouble::Waiting { reason, message } => waiting(words, reason, message),
        PodTrouble::Crashing {
            reason, restarts, ..
        } if &**reason == "OOMKilled" => (
            Severity::Broken,
            "OutOfMemory",
            format!(
                "OOMKilled {restarts} times: it needs more than its memory limit; raise {}",
                words.memory
            ),
        ),
        PodTrouble::Crashing {
            exit_code,
            restarts,
            ..
        } => (
            Severity::Broken,
            "CrashLooping",
            match restarts {
                0 => format!("ended with exit code {exit_code}; look at kubectl logs {name}"),
                _ => format!(
                    "ended with exit code {exit_code} and was restarted {restarts} times; look at kubectl logs {name} --previous"
                ),
            },
        ),
        PodTrouble::Starting => (
            Severity::Progressing,
            "Starting",
            format!("starting; {}", words.starting),
        ),
        PodTrouble::NotReady => (
            Severity::Broken,
            "ProbeFailing",
            format!(
                "its readiness check {} fails; look at kubectl describe pod {name}, or correct {}",
                words.check.0, words.check.1
            ),
        ),
        PodTrouble::Failed(message) => (
            Severity::Broken,
            "PodFailed",
            format!("ended for good: {message}; it is replaced"),
        ),
    };
    problem(severity, reason, format!("{counts}; {name}: {text}"))
}

fn waiting(words: &Words, reason: &str, message: &str) -> (Severity, &'static str, String) {
    let cause = if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {message}")
    };
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => (
            Severity::Broken,
            "ImagePullFailed",
            format!(
                "{cause}; check {}, or add spec.imagePullSecrets",
                words.image
            ),
        ),
        "CreateContainerConfigError" => (
            Severity::Broken,
            "ConfigurationMissing",
            format!("{cause}; {}", config_advice(&words.field, message)),
        ),
        _ => (
            Severity::Broken,
            "ContainerNotStarted",
            format!("{cause}; look at kubectl describe pod"),
        ),
    }
}

fn config_advice(field: &str, message: &str) -> String {
    if message.contains("runAsNonRoot") || message.contains("non-numeric user") {
        "the image must run as a numeric user other than root; set USER to a number in its Dockerfile".into()
    } else if message.contains("couldn't find key") {
        format!("add the key to the Secret or ConfigMap, or correct {field}.env")
    } else {
        format!(
            "create the Secret or ConfigMap in this namespace, or correct {field}.env and envFrom"
        )
    }
}

fn schedule_advice(message: &str, spread: bool) -> &'static str {
    if message.contains("PersistentVolumeClaim") || message.contains("persistent volume") {
        "its volume is not made: set database.managed.storage.className to a StorageClass of kubectl get storageclass, or mark one as the default; kubectl describe pvc says more"
    } else if message.contains("Insufficient") {
        "add nodes, or lower size or resources.requests"
    } else if message.contains("anti-affinity") && !spread {
        "add nodes, one for each instance, or lower database.managed.instances"
    } else if message.contains("anti-affinity") {
        "add nodes, or set placement.spread.nodes: Preferred"
    } else if message.contains("topology spread") && !spread {
        "add nodes in the zones that lack them"
    } else if message.contains("topology spread") {
        "add nodes in the zones that lack them, or set placement.spread.zones: Preferred"
    } else if message.contains("taint") {
        "add placement.tolerations, or nodes without the taint"
    } else {
        "check placement.nodeSelector, or add nodes"
    }
}

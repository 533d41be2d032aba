//! What keeps pods from serving, each as one sentence.

use portal_operator::{
    api::status::{ConditionType, Verdict},
    observe::PodTrouble,
};

use crate::{
    Case,
    world::{change_nodes, change_pod, change_workload, condition, remove},
};

/// A portal of two pods of which the second does not serve.
fn troubled(trouble: PodTrouble) -> Case {
    let mut case = Case::serving("{profile: Staging, image: a, host: h.test}");
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.ready = 1;
        workload.available = 1;
    });
    change_pod(&mut case.world, 1, |pod| {
        pod.ready = false;
        pod.trouble = Some(trouble);
    });
    case
}

fn waiting(reason: &str, message: &str) -> PodTrouble {
    PodTrouble::Waiting {
        reason: reason.into(),
        message: message.into(),
    }
}

fn crashing(reason: &str) -> PodTrouble {
    PodTrouble::Crashing {
        exit_code: 3,
        reason: reason.into(),
        restarts: 7,
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_trouble_of_a_pod_is_told_with_object_cause_and_next_step() {
    for (trouble, reason, sentence) in [
        (
            PodTrouble::Unschedulable("0/6 nodes are available: 6 Insufficient memory.".into()),
            "Unschedulable",
            "no node takes it: 0/6 nodes are available: 6 Insufficient memory.; add nodes, or lower size or resources.requests",
        ),
        (
            PodTrouble::Unschedulable("2 node(s) didn't match pod anti-affinity rules".into()),
            "Unschedulable",
            "no node takes it: 2 node(s) didn't match pod anti-affinity rules; add nodes, or set placement.spread.nodes: Preferred",
        ),
        (
            PodTrouble::Unschedulable(
                "1 node(s) didn't match pod topology spread constraints".into(),
            ),
            "Unschedulable",
            "no node takes it: 1 node(s) didn't match pod topology spread constraints; add nodes in the zones that lack them, or set placement.spread.zones: Preferred",
        ),
        (
            PodTrouble::Unschedulable("3 node(s) had untolerated taint {dedicated: db}".into()),
            "Unschedulable",
            "no node takes it: 3 node(s) had untolerated taint {dedicated: db}; add placement.tolerations, or nodes without the taint",
        ),
        (
            PodTrouble::Unschedulable("3 node(s) didn't match Pod's node affinity/selector".into()),
            "Unschedulable",
            "no node takes it: 3 node(s) didn't match Pod's node affinity/selector; check placement.nodeSelector, or add nodes",
        ),
        (
            waiting("ImagePullBackOff", "pull access denied"),
            "ImagePullFailed",
            "ImagePullBackOff: pull access denied; check spec.image, or add spec.imagePullSecrets",
        ),
        (
            waiting("ErrImagePull", ""),
            "ImagePullFailed",
            "ErrImagePull; check spec.image, or add spec.imagePullSecrets",
        ),
        (
            waiting("CreateContainerConfigError", "secret \"keyring\" not found"),
            "ConfigurationMissing",
            "CreateContainerConfigError: secret \"keyring\" not found; create the Secret or ConfigMap in this namespace, or correct spec.components[app].env and envFrom",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "couldn't find key main in Secret docks/keyring",
            ),
            "ConfigurationMissing",
            "CreateContainerConfigError: couldn't find key main in Secret docks/keyring; add the key to the Secret or ConfigMap, or correct spec.components[app].env",
        ),
        (
            waiting(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            "ConfigurationMissing",
            "CreateContainerConfigError: container has runAsNonRoot and image will run as root; the image must run as a numeric user other than root; set USER to a number in its Dockerfile",
        ),
        (
            waiting("CreateContainerError", "no command specified"),
            "ContainerNotStarted",
            "CreateContainerError: no command specified; look at kubectl describe pod",
        ),
        (
            crashing("Error"),
            "CrashLooping",
            "ended with exit code 3 and was restarted 7 times; look at kubectl logs harbor-app-1 --previous",
        ),
        (
            PodTrouble::Crashing {
                exit_code: 1,
                reason: "Error".into(),
                restarts: 0,
            },
            "CrashLooping",
            "ended with exit code 1; look at kubectl logs harbor-app-1",
        ),
        (
            crashing("OOMKilled"),
            "OutOfMemory",
            "OOMKilled 7 times: it needs more than its memory limit; raise spec.components[app].resources.limits.memory or size",
        ),
        (
            PodTrouble::NotReady,
            "ProbeFailing",
            "its readiness check /health on port 8000 fails; look at kubectl describe pod harbor-app-1, or correct spec.components[app].probes.readiness.path",
        ),
        (
            PodTrouble::Failed("Evicted: node ran out of memory".into()),
            "PodFailed",
            "ended for good: Evicted: node ran out of memory; it is replaced",
        ),
        (
            PodTrouble::Starting,
            "Starting",
            "starting; /health has not answered well yet (up to 300 s are allowed)",
        ),
    ] {
        let case = troubled(trouble);
        let ready = case.ready();
        assert_eq!(ready.status, Verdict::False, "{reason}");
        assert_eq!(ready.reason, reason);
        assert_eq!(
            ready.message,
            format!("Deployment harbor-app: 1 of 2 pods ready; harbor-app-1: {sentence}")
        );
        // It can heal by itself, so GitOps tools go on waiting.
        let reconciling = case.condition(ConditionType::Reconciling).unwrap();
        assert_eq!(reconciling.message, ready.message);
        assert!(case.condition(ConditionType::Stalled).is_none());
    }
}

#[test]
fn a_rollout_that_gave_up_is_stalled() {
    let mut case = troubled(waiting("ImagePullBackOff", "denied"));
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.conditions = vec![condition(
            "Progressing",
            "False",
            "ProgressDeadlineExceeded",
            "",
        )];
    });
    assert_eq!(case.ready().reason, "ImagePullFailed");
    let stalled = case.condition(ConditionType::Stalled).unwrap();
    assert_eq!(
        (stalled.status, stalled.reason.as_str()),
        (Verdict::True, "ImagePullFailed")
    );
    assert!(case.condition(ConditionType::Reconciling).is_none());
}

#[test]
fn pods_that_the_server_refuses_are_told_though_there_is_no_pod_to_look_at() {
    for (message, reason, advice) in [
        (
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\"",
            "PodSecurityViolation",
            "the namespace enforces more than the pods keep to; look at the level in its labels",
        ),
        (
            "pods \"x\" is forbidden: exceeded quota: compute",
            "QuotaExceeded",
            "raise the ResourceQuota, or lower size or replicas",
        ),
        (
            "serviceaccount \"harbor\" not found",
            "PodsRefused",
            "correct what the message names",
        ),
    ] {
        let mut case = Case::serving("{profile: Staging, image: a}");
        case.world.pods.clear();
        change_workload(&mut case.world, "harbor-app", |workload| {
            (
                workload.total,
                workload.ready,
                workload.available,
                workload.updated,
            ) = (0, 0, 0, 0);
            workload.conditions =
                vec![condition("ReplicaFailure", "True", "FailedCreate", message)];
        });
        let ready = case.ready();
        assert_eq!(ready.reason, reason);
        assert_eq!(
            ready.message,
            format!(
                "Deployment harbor-app: 0 of 2 pods ready; pods are refused: {message}; {advice}"
            )
        );
        assert!(case.condition(ConditionType::Stalled).is_some());
    }
}

#[test]
fn a_rollout_and_a_first_start_are_progress() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.updated = 1;
        workload.total = 3;
    });
    let ready = case.ready();
    assert_eq!(ready.reason, "RollingOut");
    assert_eq!(
        ready.message,
        "Deployment harbor-app: 2 of 2 pods ready, 1 of the wanted version; waiting for the pods"
    );

    let spec = "{profile: Staging, preset: Backstage, image: a}";
    let mut case = Case::serving(spec);
    case.plan = crate::offline::first_plan_of(spec);
    change_workload(&mut case.world, "harbor-app", |workload| {
        (workload.replicas, workload.total, workload.ready) = (1, 1, 0);
    });
    case.world.pods.clear();
    remove(&mut case.world, "HorizontalPodAutoscaler", "harbor-app");
    assert_eq!(case.ready().reason, "FirstStart");
}

#[test]
fn a_deployment_that_the_controller_has_not_seen_is_not_ready() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    crate::world::change(&mut case.world, "Deployment", "harbor-app", |child| {
        child.generation = 2;
    });
    assert_eq!(case.ready().status, Verdict::False);
    assert_eq!(case.ready().reason, "RollingOut");
}

#[test]
fn a_missing_deployment_is_being_made() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    remove(&mut case.world, "Deployment", "harbor-app");
    assert_eq!(case.ready().reason, "Creating");
    assert_eq!(
        case.ready().message,
        "Deployment harbor-app is not there yet"
    );
    case.plan.suspended = true;
    assert_eq!(case.ready().reason, "Suspended");
}

#[test]
fn pods_on_their_way_out_are_no_trouble() {
    let mut case = troubled(crashing("Error"));
    change_pod(&mut case.world, 1, |pod| pod.deleting = true);
    assert_eq!(case.ready().reason, "RollingOut");
}

#[test]
fn too_few_nodes_are_told_with_the_numbers_before_pods_are_missing() {
    let mut case = Case::serving("{image: a}");
    change_nodes(&mut case.world, |nodes| {
        for name in ["a2", "b1", "b2", "c2"] {
            nodes.get_mut(name).unwrap().usable = false;
        }
    });
    assert_eq!(case.ready().status, Verdict::True);
    assert_eq!(
        case.condition(ConditionType::Available).unwrap().message,
        "every critical component has its pods (app at least 3), but a lost one cannot be replaced: Deployment harbor-app needs 3 nodes, one for each pod, and 2 can take its pods; add nodes, or set placement.spread.nodes: Preferred"
    );
    change_workload(&mut case.world, "harbor-app", |workload| {
        workload.available = 2;
    });
    let ready = case.ready();
    assert_eq!(ready.reason, "TooFewNodes");
    assert_eq!(
        ready.message,
        "Deployment harbor-app needs 3 nodes, one for each pod, and 2 can take its pods; add nodes, or set placement.spread.nodes: Preferred"
    );
    // Without permission to read nodes nothing is claimed about them.
    case.world.nodes = None;
    assert_eq!(case.ready().reason, "RollingOut");
}

#[test]
fn nodes_count_by_selector_and_taints() {
    let spec = "{components: [{name: a, image: a, placement: {nodeSelector: {disk: fast}, tolerations: [{key: own, operator: Exists, effect: NoSchedule}, {key: soft, value: x}]}}]}";
    for (taint, takes) in [
        (("own", "any", "NoSchedule"), true),
        (("own", "any", "NoExecute"), false),
        (("soft", "x", "NoExecute"), true),
        (("soft", "y", "NoExecute"), false),
        (("other", "", "NoSchedule"), false),
        (("other", "", "PreferNoSchedule"), true),
    ] {
        let mut case = Case::serving(spec);
        change_workload(&mut case.world, "harbor-a", |workload| {
            workload.available = 2;
        });
        change_nodes(&mut case.world, |nodes| {
            for node in nodes.values_mut() {
                node.labels.insert("disk".into(), "fast".into());
                node.taints = vec![(taint.0.into(), taint.1.into(), taint.2.into())];
            }
        });
        let told = case.ready().reason == "TooFewNodes";
        assert_eq!(told, !takes, "{taint:?}");
        change_nodes(&mut case.world, |nodes| {
            for node in nodes.values_mut() {
                node.labels.clear();
            }
        });
        assert_eq!(case.ready().reason, "TooFewNodes", "{taint:?}");
    }
}

#[test]
fn a_component_scaled_to_nothing_does_not_serve() {
    let mut case = Case::serving("{profile: Staging, image: a}");
    case.world.pods.clear();
    change_workload(&mut case.world, "harbor-app", |workload| {
        (workload.replicas, workload.total, workload.ready) = (0, 0, 0);
        (workload.available, workload.updated) = (0, 0);
    });
    let ready = case.ready();
    assert_eq!(
        (ready.status, ready.reason.as_str()),
        (Verdict::False, "ScaledToZero")
    );
    assert_eq!(
        ready.message,
        "Deployment harbor-app was scaled to 0 pods; run: kubectl scale deployment harbor-app --replicas=2"
    );
    assert!(case.condition(ConditionType::Stalled).is_some());
    // A worker may be put to rest.
    case.plan.components[0].critical = false;
    assert_eq!(case.ready().status, Verdict::True);
}

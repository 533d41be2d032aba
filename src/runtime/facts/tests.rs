use serde_json::{Value, json};

use super::{LivePod, PodTrouble, pod};

/// The trouble of a pod with this status.
fn trouble(status: &Value) -> Option<PodTrouble> {
    let live = json!({"metadata": {"name": "p"}, "spec": {}, "status": status});
    let live: LivePod = serde_json::from_value(live).unwrap();
    pod(&live).trouble
}

#[test]
fn an_instance_says_whether_the_archiver_runs_beside_it_and_other_pods_say_nothing() {
    let archiver = |labels: Value, container: &str| {
        let live = json!({
            "metadata": {"name": "p", "labels": labels},
            "spec": {"initContainers": [{"name": "bootstrap-controller"}, {"name": container}]},
        });
        pod(&serde_json::from_value(live).unwrap()).archiver
    };
    let instance = json!({"cnpg.io/podRole": "instance"});
    assert_eq!(
        archiver(instance.clone(), "plugin-barman-cloud"),
        Some(true)
    );
    assert_eq!(archiver(instance, "other"), Some(false));
    assert_eq!(archiver(json!({}), "plugin-barman-cloud"), None);
}

fn running(unready_since: &str) -> Value {
    json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": unready_since}],
        "containerStatuses": [{
            "ready": false, "started": true,
            "state": {"running": {"startedAt": "2026-11-21T16:51:00Z"}},
        }],
    })
}

#[test]
fn a_container_that_was_never_ready_is_starting() {
    assert_eq!(
        trouble(&running("2026-11-21T16:50:58Z")),
        Some(PodTrouble::Starting)
    );
}

#[test]
fn a_container_that_is_no_longer_ready_fails_its_check() {
    assert_eq!(
        trouble(&running("2026-11-21T16:51:09Z")),
        Some(PodTrouble::NotReady)
    );
}

#[test]
fn a_container_that_runs_before_the_others_is_starting() {
    let status = json!({
        "phase": "Pending",
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T16:51:09Z"}],
        "initContainerStatuses": [{
            "ready": false, "started": true,
            "state": {"running": {"startedAt": "2026-11-21T16:51:00Z"}},
        }],
        "containerStatuses": [{"ready": false, "state": {"waiting": {"reason": "PodInitializing"}}}],
    });
    assert_eq!(trouble(&status), Some(PodTrouble::Starting));
}

#[test]
fn a_pod_that_did_what_it_was_for_has_no_trouble() {
    let status = json!({
        "phase": "Succeeded",
        "containerStatuses": [{"ready": false, "started": false, "state": {"terminated": {"exitCode": 0}}}],
    });
    assert_eq!(trouble(&status), None);
}

#[test]
fn only_an_end_with_an_error_is_a_crash() {
    let restarted = |exit_code: i32| {
        trouble(&json!({
            "phase": "Running",
            "containerStatuses": [{
                "ready": false, "started": false, "restartCount": 1,
                "state": {"running": {"startedAt": "2026-11-21T16:51:00Z"}},
                "lastState": {"terminated": {"exitCode": exit_code, "reason": "Completed"}},
            }],
        }))
    };
    assert_eq!(restarted(0), Some(PodTrouble::Starting));
    assert!(matches!(
        restarted(1),
        Some(PodTrouble::Crashing { exit_code: 1, .. })
    ));
}

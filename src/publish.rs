//! The one status write, and the events on transitions.

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::json;

use crate::{
    api::{
        spec::PortalPlatform,
        status::{ConditionType, PortalPlatformStatus, Verdict},
    },
    error::Failure,
    plan::identity::STATUS_MANAGER,
    runtime::queue::PortalKey,
};

/// What a status write would tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing: only times differ.
    None,
    /// Numbers and messages moved on; that can wait a second, so that a rollout does not write at every pod.
    Progress,
    /// A verdict changed, or the status is about another generation.
    Verdict,
}

/// What is new in a status.
#[must_use]
pub fn news(before: &PortalPlatformStatus, after: &PortalPlatformStatus) -> News {
    if before == after {
        return News::None;
    }
    if essence(before) == essence(after) {
        News::Progress
    } else {
        News::Verdict
    }
}

/// What users and GitOps tools wait for.
fn essence(
    status: &PortalPlatformStatus,
) -> (i64, Option<&str>, usize, Option<Verdict>, bool, bool) {
    let verdict = |type_: ConditionType| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == type_)
            .map(|condition| condition.status)
    };
    (
        status.observed_generation,
        status.applied.as_deref(),
        status.conflicts.len(),
        verdict(ConditionType::Ready),
        verdict(ConditionType::Stalled).is_some(),
        status.components.iter().all(|component| component.started),
    )
}

/// Writes a status, whole, as its own field manager. The uid makes the server refuse if the portal was created anew.
///
/// # Errors
/// The request's [`Failure`].
pub async fn write(
    client: &Client,
    portal_metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    status: &PortalPlatformStatus,
) -> Result<u64, Failure> {
    let name = portal_metadata.name.as_deref().unwrap_or_default();
    let namespace = portal_metadata.namespace.as_deref().unwrap_or_default();
    let body = json!({
        "apiVersion": PortalPlatform::api_version(&()),
        "kind": PortalPlatform::kind(&()),
        "metadata": {"name": name, "namespace": namespace, "uid": portal_metadata.uid},
        "status": status,
    });
    let api: Api<kube::core::PartialObjectMeta<PortalPlatform>> =
        Api::namespaced(client.clone(), namespace);
    let params = PatchParams::apply(STATUS_MANAGER).force();
    let written = api
        .patch_status(name, &params, &Patch::Apply(&body))
        .await
        .map_err(|error| Failure::of(&error))?;
    Ok(crate::observe::resource_version(&written.metadata))
}

/// The transitions between two statuses that are worth an event: `Ready` turned, or is False for another reason, or a policy
/// turned after it had been judged before.
#[must_use]
pub fn events(before: &PortalPlatformStatus, after: &PortalPlatformStatus) -> Vec<Event> {
    let ready = |status: &PortalPlatformStatus| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Ready)
            .cloned()
    };
    let event = |good: bool, reason: &str, note: &str, action: &str| Event {
        type_: if good {
            EventType::Normal
        } else {
            EventType::Warning
        },
        reason: reason.to_owned(),
        // The API server takes notes of at most 1024 bytes.
        note: Some(note[..note.floor_char_boundary(1000)].to_owned()),
        action: action.to_owned(),
        secondary: None,
    };
    let mut events = Vec::new();
    if let Some(now) = ready(after) {
        let was = ready(before);
        let turned = was.as_ref().map(|was| was.status) != Some(now.status);
        let other_cause = was.is_some_and(|was| was.reason != now.reason);
        let stalled = after
            .conditions
            .iter()
            .any(|condition| condition.type_ == ConditionType::Stalled);
        if now.status == Verdict::True && turned {
            events.push(event(true, "Ready", &now.message, "Reconcile"));
        } else if now.status == Verdict::False && stalled && (turned || other_cause) {
            events.push(event(false, &now.reason, &now.message, "Reconcile"));
        }
    }
    for policy in &after.policies {
        let was = before.policies.iter().find(|p| p.name == policy.name);
        let settled = ready(after).is_some_and(|ready| ready.status == Verdict::True);
        if let Some(was) = was
            && was.status != policy.status
            && settled
        {
            let note = policy
                .message
                .clone()
                .or_else(|| policy.observed.clone())
                .unwrap_or_default();
            events.push(event(
                policy.status == Verdict::True,
                policy.name.as_str(),
                &format!(
                    "policy {} turned from {} to {}: {note}",
                    policy.name.as_str(),
                    was.status.as_str(),
                    policy.status.as_str()
                ),
                "AssessPolicy",
            ));
        }
    }
    events
}

/// Publishes events. They are a courtesy: one that cannot be written is logged and left.
pub async fn publish_events(
    recorder: &Recorder,
    portal: &k8s_openapi::api::core::v1::ObjectReference,
    events: Vec<Event>,
) {
    for event in events {
        if let Err(error) = recorder.publish(&event, portal).await {
            tracing::debug!(%error, "event not published");
        }
    }
}

/// What is told when a portal is gone and its database is not.
#[must_use]
pub fn retained(clusters: &[String]) -> Option<Event> {
    let names = clusters.join(", Cluster ");
    (!clusters.is_empty()).then(|| Event {
        type_: EventType::Normal,
        reason: "DatabaseRetained".into(),
        note: Some(format!(
            "Cluster {names} stays with its volumes and Secrets, as database.reclaimPolicy says; a portal of the same name takes it back, and kubectl delete cluster removes it with all data"
        )),
        action: "Deleting".into(),
        secondary: None,
    })
}

/// The moment from which a progress write is due.
#[must_use]
pub fn progress_due(last_write: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    const PAUSE: k8s_openapi::jiff::SignedDuration =
        k8s_openapi::jiff::SignedDuration::from_secs(1);
    last_write.map(|last| last + PAUSE).filter(|due| *due > now)
}

/// A reference to a portal, for events.
#[must_use]
pub fn portal_reference(
    metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
) -> k8s_openapi::api::core::v1::ObjectReference {
    k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(PortalPlatform::api_version(&()).into_owned()),
        kind: Some(PortalPlatform::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        ..Default::default()
    }
}

/// Writes one line to the log when `Ready` turned or has another cause.
pub fn log_transition(
    key: &PortalKey,
    before: &PortalPlatformStatus,
    after: &PortalPlatformStatus,
) {
    let ready = |status: &PortalPlatformStatus| {
        status
            .conditions
            .iter()
            .find(|condition| condition.type_ == ConditionType::Ready)
            .map(|condition| {
                (
                    condition.status,
                    condition.reason.clone(),
                    condition.message.clone(),
                )
            })
    };
    let (was, is) = (ready(before), ready(after));
    if was.as_ref().map(|was| (&was.0, &was.1)) != is.as_ref().map(|is| (&is.0, &is.1))
        && let Some((status, reason, message)) = is
    {
        tracing::info!(
            namespace = key.namespace,
            portal = key.name,
            ready = status.as_str(),
            reason,
            cause = message,
            "portal changed"
        );
    }
}

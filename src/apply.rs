//! The only code that writes children. It runs the actions of one wave in parallel, keeps an outcome of each, and never waits
//! for a rollout: the child's watch is the wake-up.

use futures::future::join_all;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PropagationPolicy},
    core::PartialObjectMeta,
};
use serde_json::json;

use crate::{
    children::{Child, Manifest, by_kind, live::Live},
    converge::{self, Action, Applied, Memory, Verb},
    error::{Disposition, Failure},
    observe::{ChildKey, Observation, controller, owned},
    outcome::{Done, Outcome},
    plan::identity::{HANDOVER_MANAGER, MANAGER},
    runtime::{
        index::Index,
        metrics::{ActionResult, ActionVerb, Metrics},
    },
};

/// What writing needs.
pub struct Writer<'a> {
    /// Client whose writes are refused when the lease is not held.
    pub client: &'a Client,
    /// Takes the answers.
    pub index: &'a Index,
    /// Counts the writes.
    pub metrics: &'a Metrics,
    /// Namespace of the portal.
    pub namespace: &'a str,
    /// Name of the portal.
    pub portal_name: &'a str,
    /// Uid of the portal.
    pub portal_uid: &'a str,
    /// Whether it is there still.
    pub portal_is_there: &'a (dyn Fn() -> bool + Send + Sync),
}

/// Carries out the actions, wave by wave, and remembers what was applied.
pub async fn apply(writer: &Writer<'_>, actions: Vec<Action>, memory: &mut Memory) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(actions.len());
    let mut rest = actions.into_iter().peekable();
    // What is written for a portal that was deleted meanwhile comes and goes, and data without an owner would stay.
    while let Some(first) = rest.next_if(|_| (writer.portal_is_there)()) {
        let wave = wave_of(&first);
        let mut batch = vec![first];
        while let Some(next) = rest.next_if(|action| wave_of(action) == wave) {
            batch.push(next);
        }
        let done = join_all(batch.iter().map(|action| writer.act(action))).await;
        for (action, (result, applied)) in batch.into_iter().zip(done) {
            match (&result, applied) {
                (_, Some(applied)) => {
                    memory.insert(action.key.clone(), applied);
                }
                // What is held is as it was.
                (Done::Kept | Done::Held, None) => {}
                _ => {
                    memory.remove(&action.key);
                }
            }
            outcomes.push(Outcome {
                key: action.key,
                result,
            });
        }
    }
    outcomes
}

/// Deletions come after every write.
fn wave_of(action: &Action) -> u8 {
    action
        .manifest
        .as_ref()
        .map_or(u8::MAX, |manifest| manifest.kind.wave)
}

type Result<T> = std::result::Result<T, Failure>;

impl Writer<'_> {
    async fn act(&self, action: &Action) -> (Done, Option<Applied>) {
        let Some(child) = by_kind(action.key.0) else {
            return (Done::Kept, None);
        };
        let result = match (&action.verb, &action.manifest) {
            (Verb::Keep, Some(manifest)) => self.keep(child, manifest, action.hand_over).await,
            (Verb::Apply { uid }, Some(manifest)) => {
                if let Some(body) = &action.stepping_stone
                    && let Err(failure) = self.step(child, manifest, body, uid).await
                {
                    return (Done::Failed(failure), None);
                }
                self.update(child, manifest, uid, action.hand_over).await
            }
            (Verb::Create, Some(manifest)) => self.create(child, manifest, action.hand_over).await,
            (Verb::Delete { uid }, _) => self.delete(child, &action.key, uid).await,
            (Verb::Refuse { manager }, _) => Ok((
                Done::Refused {
                    manager: manager.clone(),
                },
                None,
            )),
            (Verb::Wait { reason }, _) => Ok((
                Done::Waiting {
                    reason: (*reason).to_owned(),
                },
                None,
            )),
            (Verb::Hold, _) => Ok((Done::Held, None)),
            (Verb::Block { state }, _) => Ok((Done::Blocked(state.clone()), None)),
            (Verb::Keep | Verb::Apply { .. } | Verb::Create, None) => Ok((Done::Kept, None)),
        };
        result.unwrap_or_else(|failure| {
            tracing::warn!(
                kind = action.key.0,
                name = action.key.1,
                reason = failure.reason,
                cause = failure.message,
                "child not written"
            );
            (Done::Failed(failure), None)
        })
    }

    fn api(&self, child: &dyn Child) -> Api<Live> {
        Api::namespaced_with(
            self.client.clone(),
            self.namespace,
            &child.kind().api_resource(),
        )
    }

    async fn keep(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        hand_over: Option<i32>,
    ) -> Result<(Done, Option<Applied>)> {
        if let Some(replicas) = hand_over {
            self.hand_over(child, manifest, replicas).await?;
        }
        Ok((Done::Kept, None))
    }

    /// Writes an object that is ours. The uid in the body makes the server refuse if another has taken the name.
    async fn update(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        uid: &str,
        hand_over: Option<i32>,
    ) -> Result<(Done, Option<Applied>)> {
        // Before the manifest without replicas, or the count would fall to 1.
        if let Some(replicas) = hand_over {
            self.hand_over(child, manifest, replicas).await?;
        }
        let mut body = manifest.body.clone();
        body["metadata"]["uid"] = json!(uid);
        let live = self
            .patch(child, manifest, &body, &PatchParams::apply(MANAGER).force())
            .await?;
        Ok((Done::Written, Some(remember(manifest, &live))))
    }

    /// Writes what must come before a manifest.
    async fn step(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        body: &serde_json::Value,
        uid: &str,
    ) -> Result<()> {
        let mut body = body.clone();
        body["metadata"]["uid"] = json!(uid);
        let params = PatchParams::apply(MANAGER).force();
        self.patch(child, manifest, &body, &params).await?;
        Ok(())
    }

    /// Creates an object after a look at its name. Without force, so that an object that comes between is not taken over.
    async fn create(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        hand_over: Option<i32>,
    ) -> Result<(Done, Option<Applied>)> {
        let found = self
            .api(child)
            .get_metadata_opt(&manifest.name)
            .await
            .map_err(|error| Failure::of(&error))?;
        if let Some(found) = found {
            return self.found(child, manifest, &found).await;
        }
        let live = self
            .patch(
                child,
                manifest,
                &manifest.body,
                &PatchParams::apply(MANAGER),
            )
            .await?;
        let applied = remember(manifest, &live);
        if let Some(replicas) = hand_over {
            self.hand_over(child, manifest, replicas).await?;
        }
        Ok((Done::Written, Some(applied)))
    }

    /// The name is taken by an object that our watches do not see.
    async fn found(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        found: &PartialObjectMeta<Live>,
    ) -> Result<(Done, Option<Applied>)> {
        let metadata = &found.metadata;
        let ours = match controller(metadata) {
            Some(owner) if owner.uid == self.portal_uid => true,
            Some(owner) if owner.kind == "PortalPlatform" && owner.name == self.portal_name => {
                return Ok((
                    Done::Waiting {
                        reason: "it belongs to a former portal of this name and waits for garbage collection".into(),
                    },
                    None,
                ));
            }
            // Somebody took its labels and its owner; our mark on its fields is left.
            None => owned(metadata) != 0,
            Some(_) => false,
        };
        if !ours {
            return Ok((
                Done::Refused {
                    manager: manager_of(metadata),
                },
                None,
            ));
        }
        if metadata.deletion_timestamp.is_some() {
            return Ok((
                Done::Waiting {
                    reason:
                        "it is being deleted; if that takes long, look at its metadata.finalizers"
                            .into(),
                },
                None,
            ));
        }
        let uid = metadata.uid.clone().unwrap_or_default();
        let hand_over = if manifest.initial_replicas.is_some() {
            let live = self
                .api(child)
                .get(&manifest.name)
                .await
                .map_err(|error| Failure::of(&error))?;
            let observation = Observation::new(&live.metadata, child.health(&live));
            converge::hand_over(manifest, Some(&observation), &Verb::Keep)
        } else {
            None
        };
        self.update(child, manifest, &uid, hand_over).await
    }

    async fn patch(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        body: &serde_json::Value,
        params: &PatchParams,
    ) -> Result<Live> {
        let ended_lists = self.index.ended_lists();
        let result = self
            .api(child)
            .patch(&manifest.name, params, &Patch::Apply(body))
            .await;
        self.count(child, ActionVerb::Apply, result.is_ok());
        let live = result.map_err(|error| Failure::of(&error))?;
        self.index.written(child, &live, ended_lists);
        Ok(live)
    }

    async fn hand_over(
        &self,
        child: &'static dyn Child,
        manifest: &Manifest,
        replicas: i32,
    ) -> Result<()> {
        let body = json!({
            "apiVersion": manifest.body["apiVersion"],
            "kind": manifest.body["kind"],
            "metadata": {"name": manifest.name, "namespace": self.namespace},
            "spec": {"replicas": replicas},
        });
        let params = PatchParams::apply(HANDOVER_MANAGER).force();
        self.patch(child, manifest, &body, &params).await?;
        Ok(())
    }

    async fn delete(
        &self,
        child: &'static dyn Child,
        key: &ChildKey,
        uid: &str,
    ) -> Result<(Done, Option<Applied>)> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        }
        .preconditions(kube::api::Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        let result = self.api(child).delete(&key.1, &params).await;
        self.count(child, ActionVerb::Delete, result.is_ok());
        match result {
            Ok(_) => {
                self.index.deleted(self.namespace, key, uid);
                Ok((Done::Deleted, None))
            }
            // Gone already, or another object has the name by now.
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                self.index.deleted(self.namespace, key, uid);
                Ok((Done::Deleted, None))
            }
            Err(error) => Err(Failure::of(&error)),
        }
    }

    fn count(&self, child: &dyn Child, verb: ActionVerb, ok: bool) {
        let result = if ok {
            ActionResult::Success
        } else {
            ActionResult::Error
        };
        self.metrics.action(child.kind().kind, verb, result);
    }
}

fn remember(manifest: &Manifest, live: &Live) -> Applied {
    let observation = Observation::new(&live.metadata, crate::children::live::Health::None);
    Applied {
        uid: observation.uid,
        digest: manifest.digest,
        owned: observation.owned,
    }
}

/// Who an object belongs to, as far as it says.
fn manager_of(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> String {
    if let Some(owner) = controller(metadata) {
        return format!("{} {}", owner.kind, owner.name);
    }
    let label = metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("app.kubernetes.io/managed-by"));
    if let Some(manager) = label {
        return manager.clone();
    }
    metadata
        .managed_fields
        .iter()
        .flatten()
        .find_map(|entry| entry.manager.clone())
        .unwrap_or_else(|| "unknown".into())
}

/// How long until a portal with these outcomes is tried again, if it must be tried at all.
#[must_use]
pub fn disposition(outcomes: &[Outcome]) -> Option<Disposition> {
    let mut user = None;
    let mut retry = None;
    for outcome in outcomes {
        match &outcome.result {
            Done::Failed(failure) => match failure.disposition {
                Disposition::Retry { after } => {
                    retry = Some(retry.flatten().max(after));
                }
                Disposition::UserMustAct => user = Some(()),
            },
            // The object in the way carries no label of ours, so no watch tells of its end.
            Done::Refused { .. } => user = Some(()),
            Done::Kept
            | Done::Written
            | Done::Deleted
            | Done::Waiting { .. }
            | Done::Held
            | Done::Blocked(_) => {}
        }
    }
    retry
        .map(|after| Disposition::Retry { after })
        .or(user.map(|()| Disposition::UserMustAct))
}

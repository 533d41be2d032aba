//! From the objects as they shall be and as they are to what must be done. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    children::{
        Hold, Manifest, by_kind,
        live::{Health, ReplicasOwner},
    },
    digest::digest,
    observe::{ApiState, ChildKey, Observation, World},
    plan::Plan,
};

/// A child as it was after our last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Uid of the object.
    pub uid: Box<str>,
    /// Digest of the manifest.
    pub digest: u64,
    /// Hash of our managedFields entry afterwards.
    pub owned: u64,
}

/// What was last applied, child by child.
pub type Memory = BTreeMap<ChildKey, Applied>;

/// What must be done about one child.
#[derive(Clone, Debug)]
pub struct Action {
    /// Kind and name.
    pub key: ChildKey,
    /// The object as it shall be; `None` for one that shall go.
    pub manifest: Option<Manifest>,
    /// What to do.
    pub verb: Verb,
    /// Number of replicas to hand over to whoever scales from now on.
    pub hand_over: Option<i32>,
    /// An object to write before the manifest, where the change is refused in one step.
    pub stepping_stone: Option<Value>,
}

/// What to do about a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It is in place.
    Keep,
    /// It is ours and must be written.
    Apply {
        /// Uid of the object, so that another of the same name is never written.
        uid: Box<str>,
    },
    /// It is not there as far as we see: look whether the name is free, then create it.
    Create,
    /// It is ours and no longer wanted.
    Delete {
        /// Uid of the object, so that another of the same name is never deleted.
        uid: Box<str>,
    },
    /// An object of somebody else has the name.
    Refuse {
        /// Who it belongs to.
        manager: String,
    },
    /// It cannot be written until a former object of the name is gone.
    Wait {
        /// Why.
        reason: &'static str,
    },
    /// It waits for the database.
    Hold,
    /// The API of its kind is missing or closed to us.
    Block {
        /// Why.
        state: ApiState,
    },
}

/// Decides about every child, in the order of writes; deletions come last.
#[must_use]
pub fn converge(
    manifests: Vec<Manifest>,
    world: &World,
    memory: &Memory,
    portal_uid: &str,
) -> Vec<Action> {
    let wanted: BTreeSet<ChildKey> = manifests
        .iter()
        .map(|manifest| (manifest.kind.kind, manifest.name.clone()))
        .collect();
    let mut actions: Vec<Action> = manifests
        .into_iter()
        .map(|manifest| decide(manifest, world, memory, portal_uid))
        .collect();
    let unwanted = world
        .children
        .iter()
        .filter(|(key, observation)| {
            !wanted.contains(*key)
                && observation.owner.as_deref() == Some(portal_uid)
                && !observation.deleting
                // Data goes with its portal or by its owner's own hand, never by an edit.
                && by_kind(key.0).is_some_and(|child| child.kind().pruned)
        })
        .map(|(key, observation)| Action {
            key: key.clone(),
            manifest: None,
            verb: Verb::Delete {
                uid: observation.uid.clone(),
            },
            hand_over: None,
            stepping_stone: None,
        });
    actions.extend(unwanted);
    actions
}

/// Decides about these children alone, and makes none that is not there.
#[must_use]
pub fn converge_some(
    manifests: Vec<Manifest>,
    world: &World,
    memory: &Memory,
    portal_uid: &str,
) -> Vec<Action> {
    manifests
        .into_iter()
        .map(|manifest| decide(manifest, world, memory, portal_uid))
        .filter(|action| matches!(action.verb, Verb::Keep | Verb::Apply { .. }))
        .collect()
}

/// Whether a child is written although the portal is suspended: a database that shall hibernate meanwhile.
#[must_use]
pub fn changes_when_suspended(manifest: &Manifest, plan: &Plan) -> bool {
    manifest.kind.kind == "Cluster"
        && plan
            .database
            .managed()
            .is_some_and(|managed| managed.hibernates)
}

fn decide(manifest: Manifest, world: &World, memory: &Memory, portal_uid: &str) -> Action {
    let key: ChildKey = (manifest.kind.kind, manifest.name.clone());
    let observation = world.children.get(&key).map(AsRef::as_ref);
    let verb = match (world.api(manifest.kind.kind), observation) {
        (state @ (ApiState::Absent | ApiState::Blocked(_)), _) => Verb::Block {
            state: state.clone(),
        },
        (ApiState::Synced, None) if manifest.held.is_some() => Verb::Hold,
        (ApiState::Synced, None) => Verb::Create,
        (ApiState::Synced, Some(observation)) => {
            known(&manifest, observation, memory.get(&key), portal_uid)
        }
    };
    let verb = match verb {
        Verb::Apply { .. } | Verb::Keep if manifest.held == Some(Hold::Entirely) => Verb::Hold,
        verb => verb,
    };
    let hand_over = hand_over(&manifest, observation, &verb);
    let stepping_stone = observation.and_then(|live| stepping_stone(&manifest, &live.health));
    Action {
        key,
        manifest: Some(manifest),
        verb,
        hand_over,
        stepping_stone,
    }
}

/// CloudNativePG refuses a new image together with new parameters where updates switch over. So everything but the image is
/// written first.
fn stepping_stone(manifest: &Manifest, live: &Health) -> Option<Value> {
    let Health::Cluster(cluster) = live else {
        return None;
    };
    let image = cluster.image.as_deref()?;
    let wanted = &manifest.body["spec"]["imageName"];
    if wanted.is_null() || wanted == image {
        return None;
    }
    let mut body = manifest.body.clone();
    body["spec"]["imageName"] = image.into();
    Some(body)
}

fn known(
    manifest: &Manifest,
    observation: &Observation,
    applied: Option<&Applied>,
    portal_uid: &str,
) -> Verb {
    match observation.owner.as_deref() {
        Some(owner) if owner == portal_uid => {}
        // Its reference was taken away (as `kubectl delete --cascade=orphan` does), but our mark on its fields is left.
        None if observation.owned != 0 => {}
        Some(_) if observation.owned != 0 => {
            return Verb::Wait {
                reason: "it belongs to a former portal of this name and waits for garbage collection",
            };
        }
        _ => {
            return Verb::Refuse {
                manager: "unknown, though it carries our labels".into(),
            };
        }
    }
    if observation.deleting {
        return Verb::Wait {
            reason: "it is being deleted; if that takes long, look at its metadata.finalizers",
        };
    }
    let in_place = applied.is_some_and(|applied| {
        applied.uid == observation.uid
            && applied.digest == manifest.digest
            && applied.owned == observation.owned
    });
    if in_place {
        Verb::Keep
    } else {
        Verb::Apply {
            uid: observation.uid.clone(),
        }
    }
}

/// A number of replicas that we own, or that nobody owns, would fall to 1 or stay there when our manifest no longer holds
/// it. So it is first handed to another manager, and never lowered on the way.
#[must_use]
pub fn hand_over(
    manifest: &Manifest,
    observation: Option<&Observation>,
    verb: &Verb,
) -> Option<i32> {
    let initial = manifest.initial_replicas?;
    match verb {
        Verb::Create => Some(initial),
        Verb::Apply { .. } | Verb::Keep => {
            let workload = observation?.workload()?;
            (workload.replicas_owner != ReplicasOwner::Other)
                .then_some(workload.replicas.max(initial))
        }
        Verb::Delete { .. }
        | Verb::Refuse { .. }
        | Verb::Wait { .. }
        | Verb::Hold
        | Verb::Block { .. } => None,
    }
}

/// One digest over all children as they were last applied. Equal digests before and after a restart mean that nothing has
/// to be written.
#[must_use]
pub fn applied_digest(memory: &Memory) -> String {
    let entries: Vec<_> = memory
        .iter()
        .map(|((kind, name), applied)| (kind, name, &applied.uid, applied.digest, applied.owned))
        .collect();
    digest(&entries)
}

/// The memory that a former process would have left if everything observed is as it was after its last write. Trusted only
/// if its digest is the one in status.
#[must_use]
pub fn recall(
    manifests: &[Manifest],
    world: &World,
    portal_uid: &str,
    status_digest: Option<&str>,
) -> Memory {
    let memory: Memory = manifests
        .iter()
        .filter_map(|manifest| {
            // What was refused or waited for was never remembered.
            let observation = world
                .child(manifest.kind.kind, &manifest.name)
                .filter(|child| {
                    let ours = if manifest.retained {
                        child.owner.is_none()
                    } else {
                        child.owner.as_deref() == Some(portal_uid)
                    };
                    ours && !child.deleting
                })?;
            let applied = Applied {
                uid: observation.uid.clone(),
                digest: manifest.digest,
                owned: observation.owned,
            };
            Some(((manifest.kind.kind, manifest.name.clone()), applied))
        })
        .collect();
    if Some(applied_digest(&memory).as_str()) == status_digest {
        memory
    } else {
        Memory::new()
    }
}

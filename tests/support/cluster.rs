//! A cluster of maps on which actions are carried out as the API server would, with alarms where they must not be.

use std::{collections::BTreeMap, sync::Arc};

use portal_operator::{
    children::{
        Manifest,
        live::{Health, ReplicasOwner, Workload},
    },
    converge::{Action, Applied, Memory, Verb, converge},
    digest::digest_u64,
    observe::{ApiState, ChildKey, Observation, World},
};

use super::offline::UID;

/// An object, reduced to what decisions look at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) uid: String,
    pub(crate) owner: Option<String>,
    /// Digest of the manifest that our manager applied last; `None`: our manager owns nothing.
    pub(crate) applied: Option<u64>,
    /// Somebody took one of our fields over.
    pub(crate) drifted: bool,
    pub(crate) deleting: bool,
    /// The watch selects by label.
    pub(crate) labelled: bool,
    pub(crate) replicas: Option<(i32, ReplicasOwner)>,
}

#[derive(Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) objects: BTreeMap<ChildKey, Object>,
    pub(crate) apis: BTreeMap<&'static str, ApiState>,
    births: u32,
}

/// What a pass did.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) writes: usize,
    pub(crate) verbs: Vec<(ChildKey, Verb)>,
}

impl Cluster {
    /// What the index would hold.
    pub(crate) fn world(&self) -> World {
        let children = self
            .objects
            .iter()
            // Without its API nothing of a kind is known.
            .filter(|(key, object)| object.labelled && !self.apis.contains_key(key.0))
            .map(|(key, object)| (key.clone(), Arc::new(observation(object))))
            .collect();
        World {
            children,
            apis: self.apis.clone(),
            ..World::default()
        }
    }

    /// One pass over the portal.
    pub(crate) fn pass(&mut self, manifests: &[Manifest], memory: &mut Memory) -> Log {
        let actions = converge(manifests.to_vec(), &self.world(), memory, UID);
        let mut log = Log::default();
        for action in actions {
            log.writes += usize::from(self.carry_out(&action, memory));
            log.verbs.push((action.key, action.verb));
        }
        log
    }

    /// Carries one action out; whether anything was written.
    fn carry_out(&mut self, action: &Action, memory: &mut Memory) -> bool {
        let key = &action.key;
        let there = self.objects.get(key).cloned();
        match &action.verb {
            Verb::Keep => {
                let object = there.unwrap_or_else(|| panic!("{key:?} is kept and not there"));
                assert_eq!(*memory[key].uid, *object.uid, "{key:?} is another object");
                let digest = action.manifest.as_ref().map(|manifest| manifest.digest);
                assert_eq!(object.applied, digest, "{key:?} is kept in another state");
                assert!(
                    !object.drifted && !object.deleting,
                    "{key:?} is kept: {object:?}"
                );
                false
            }
            Verb::Create => {
                // The writer looks before it creates: our own object may have lost its labels.
                if let Some(object) = there {
                    let ours = object.owner.as_deref() == Some(UID) && !object.deleting;
                    if ours {
                        self.write(action, object.uid, memory);
                    } else {
                        memory.remove(key);
                    }
                    return ours;
                }
                self.births += 1;
                let uid = format!("born-{}", self.births);
                self.write(action, uid, memory);
                true
            }
            Verb::Apply { uid } => {
                let object = there.unwrap_or_else(|| panic!("{key:?} is applied and not there"));
                assert_eq!(object.uid, **uid, "{key:?} is written by another uid");
                assert!(
                    object.owner.as_deref().is_none_or(|owner| owner == UID)
                        && object.applied.is_some(),
                    "{key:?} is foreign and written: {object:?}"
                );
                self.write(action, object.uid, memory);
                true
            }
            Verb::Delete { uid } => {
                let object = there.unwrap_or_else(|| panic!("{key:?} is deleted and not there"));
                assert_eq!(object.uid, **uid, "{key:?} is deleted by another uid");
                assert_eq!(
                    object.owner.as_deref(),
                    Some(UID),
                    "{key:?} is foreign and deleted"
                );
                self.objects.remove(key);
                memory.remove(key);
                true
            }
            Verb::Hold => false,
            Verb::Refuse { .. } | Verb::Wait { .. } | Verb::Block { .. } => {
                memory.remove(key);
                false
            }
        }
    }

    fn write(&mut self, action: &Action, uid: String, memory: &mut Memory) {
        let manifest = action
            .manifest
            .as_ref()
            .expect("what is written has a manifest");
        let live = self
            .objects
            .get(&action.key)
            .and_then(|object| object.replicas);
        let object = Object {
            owner: Some(UID.into()),
            applied: Some(manifest.digest),
            drifted: false,
            deleting: false,
            labelled: true,
            replicas: replicas(manifest, live, action.hand_over),
            uid: uid.clone(),
        };
        let applied = Applied {
            uid: uid.into(),
            digest: manifest.digest,
            owned: observation(&object).owned,
        };
        memory.insert(action.key.clone(), applied);
        self.objects.insert(action.key.clone(), object);
    }
}

/// The number of pods after a write: a number that only our manager owned falls to the server's default of 1 when the manifest
/// no longer holds it.
fn replicas(
    manifest: &Manifest,
    live: Option<(i32, ReplicasOwner)>,
    hand_over: Option<i32>,
) -> Option<(i32, ReplicasOwner)> {
    if manifest.kind.kind != "Deployment" {
        return None;
    }
    let live = hand_over
        .map(|count| (count, ReplicasOwner::Other))
        .or(live);
    let wanted = manifest.body["spec"]["replicas"].as_i64();
    Some(match (wanted, live) {
        (Some(wanted), _) => (
            i32::try_from(wanted).expect("a small number"),
            ReplicasOwner::Us,
        ),
        (None, Some((count, ReplicasOwner::Other))) => (count, ReplicasOwner::Other),
        (None, _) => (1, ReplicasOwner::Nobody),
    })
}

fn observation(object: &Object) -> Observation {
    let owned = object.applied.map_or(0, |digest| {
        // Never 0, which stands for nothing.
        digest_u64(&(digest, object.drifted)) | 1
    });
    let health = object
        .replicas
        .map_or(Health::None, |(replicas, replicas_owner)| {
            Health::Workload(Box::new(Workload {
                replicas,
                replicas_owner,
                ..Workload::default()
            }))
        });
    Observation {
        uid: object.uid.as_str().into(),
        resource_version: 1,
        generation: 1,
        deleting: object.deleting,
        owner: object.owner.as_deref().map(Into::into),
        owned,
        health,
    }
}

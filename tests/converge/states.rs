//! Every state that a child can be in, alone and in pairs.

use portal_operator::{children::Manifest, converge::Memory, observe::ApiState};

use crate::{
    cluster::{Cluster, Object},
    converged, key, manifests,
    offline::UID,
    settle,
};

/// What can have become of one child.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    InPlace,
    Absent,
    Drifted,
    OldManifest,
    Forgotten,
    Recreated,
    Deleting,
    Orphaned,
    LabelsStripped,
    FormerPortal,
    ForeignLabelled,
    ForeignUnlabelled,
    ApiAbsent,
    ApiBlocked,
}

const STATES: [State; 14] = [
    State::InPlace,
    State::Absent,
    State::Drifted,
    State::OldManifest,
    State::Forgotten,
    State::Recreated,
    State::Deleting,
    State::Orphaned,
    State::LabelsStripped,
    State::FormerPortal,
    State::ForeignLabelled,
    State::ForeignUnlabelled,
    State::ApiAbsent,
    State::ApiBlocked,
];

impl State {
    pub(crate) fn bring_about(
        self,
        cluster: &mut Cluster,
        memory: &mut Memory,
        manifest: &Manifest,
    ) {
        let key = key(manifest);
        match self {
            Self::InPlace => {}
            Self::Absent => {
                cluster.objects.remove(&key);
            }
            Self::Forgotten => {
                memory.remove(&key);
            }
            Self::OldManifest => {
                memory.get_mut(&key).unwrap().digest ^= 1;
                cluster.objects.get_mut(&key).unwrap().applied = Some(manifest.digest ^ 1);
            }
            Self::ApiAbsent => {
                cluster.apis.insert(manifest.kind.kind, ApiState::Absent);
            }
            Self::ApiBlocked => {
                let state = ApiState::Blocked("forbidden".into());
                cluster.apis.insert(manifest.kind.kind, state);
            }
            _ => {
                let object = cluster.objects.get_mut(&key).unwrap();
                match self {
                    Self::Drifted => object.drifted = true,
                    Self::Recreated => object.uid = "made-by-a-former-process".into(),
                    Self::Deleting => object.deleting = true,
                    // What is taken from an object leaves our managedFields entry.
                    Self::Orphaned => (object.owner, object.drifted) = (None, true),
                    Self::LabelsStripped => (object.labelled, object.drifted) = (false, true),
                    Self::FormerPortal => object.owner = Some("uid-of-a-former-harbor".into()),
                    Self::ForeignLabelled | Self::ForeignUnlabelled => {
                        *object = Object {
                            uid: "foreign".into(),
                            owner: None,
                            applied: None,
                            drifted: false,
                            deleting: false,
                            labelled: self == Self::ForeignLabelled,
                            replicas: object.replicas,
                        };
                    }
                    _ => unreachable!(),
                }
            }
        }
    }

    /// Whether the object is somebody else's, so that it must stay exactly as it is.
    fn is_untouchable(self) -> bool {
        matches!(
            self,
            Self::FormerPortal
                | Self::ForeignLabelled
                | Self::ForeignUnlabelled
                | Self::ApiAbsent
                | Self::ApiBlocked
        )
    }
}

/// Brings states about, settles, and checks what must hold whatever they were.
fn check(manifests: &[Manifest], states: &[(usize, State)]) {
    let about = format!("{states:?}");
    let (mut cluster, mut memory) = converged(manifests);
    for (index, state) in states {
        state.bring_about(&mut cluster, &mut memory, &manifests[*index]);
    }
    let before = cluster.clone();
    settle(&mut cluster, manifests, &mut memory, &about);
    let settled = cluster.clone();
    let log = cluster.pass(manifests, &mut memory);
    assert_eq!(log.writes, 0, "{about}");
    assert!(cluster.objects == settled.objects, "{about}");
    for (index, manifest) in manifests.iter().enumerate() {
        let key = key(manifest);
        let is_untouchable = states.iter().any(|(other, state)| {
            let same_kind = manifests[*other].kind == manifest.kind;
            match state {
                State::ApiAbsent | State::ApiBlocked => same_kind,
                _ => *other == index && state.is_untouchable(),
            }
        });
        if is_untouchable {
            let was = before.objects.get(&key);
            let is_going = was.is_some_and(|object| object.deleting);
            if !is_going {
                assert_eq!(settled.objects.get(&key), was, "{about}: {key:?}");
            }
        } else {
            let object = &settled.objects[&key];
            assert_eq!(object.applied, Some(manifest.digest), "{about}: {key:?}");
            assert_eq!(object.owner.as_deref(), Some(UID), "{about}: {key:?}");
            assert!(!object.drifted && !object.deleting, "{about}: {key:?}");
        }
    }
}

#[test]
fn every_child_recovers_from_every_state() {
    let manifests = manifests();
    for index in 0..manifests.len() {
        for state in STATES {
            check(&manifests, &[(index, state)]);
        }
    }
}

#[test]
fn every_two_children_recover_from_every_two_states() {
    let manifests = manifests();
    for first in 0..manifests.len() {
        for second in first + 1..manifests.len() {
            for one in STATES {
                for other in STATES {
                    check(&manifests, &[(first, one), (second, other)]);
                }
            }
        }
    }
}

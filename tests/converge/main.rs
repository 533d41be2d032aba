//! Decisions, exhausted: whatever state the children are in, a few passes reach the wanted one, and nothing of others is
//! touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/offline.rs"]
mod offline;
mod states;

use cluster::{Cluster, Object};
use offline::{UID, plan_of};
use portal_operator::{
    children::{self, Manifest, live::ReplicasOwner},
    converge::{Memory, Verb, applied_digest, recall},
    observe::ChildKey,
};
use serde_json::json;
use states::State;

/// A portal of 13 objects of eight kinds.
fn manifests() -> Vec<Manifest> {
    let plan = plan_of(
        "{profile: Staging, host: h.test, network: {policy: Open}, exposure: {tls: {issuerRef: {name: i}}}, components: [{name: crane, image: a, path: /}, {name: depot, image: a}]}",
    );
    let manifests = children::manifests(&plan);
    assert_eq!(manifests.len(), 13);
    light(manifests)
}

/// The manifests without what decisions do not look at, since there are many of them to make.
fn light(mut manifests: Vec<Manifest>) -> Vec<Manifest> {
    for manifest in &mut manifests {
        manifest.body = json!({"spec": {"replicas": manifest.body["spec"]["replicas"]}});
    }
    manifests
}

fn key(manifest: &Manifest) -> ChildKey {
    (manifest.kind.kind, manifest.name.clone())
}

/// A cluster in which all is in place, and the memory of it.
fn converged(manifests: &[Manifest]) -> (Cluster, Memory) {
    let (mut cluster, mut memory) = (Cluster::default(), Memory::new());
    cluster.pass(manifests, &mut memory);
    let log = cluster.pass(manifests, &mut memory);
    assert_eq!(log.writes, 0);
    (cluster, memory)
}

/// Passes until nothing is written; how many wrote.
fn settle(
    cluster: &mut Cluster,
    manifests: &[Manifest],
    memory: &mut Memory,
    about: &str,
) -> usize {
    for passes in 0..=3 {
        // An object that was being deleted is gone by the next pass.
        if passes > 0 {
            cluster.objects.retain(|_, object| !object.deleting);
        }
        let log = cluster.pass(manifests, memory);
        let waits = log
            .verbs
            .iter()
            .any(|(_, verb)| matches!(verb, Verb::Wait { .. }))
            && cluster.objects.values().any(|object| object.deleting);
        if log.writes == 0 && !waits {
            return passes;
        }
    }
    panic!("{about}: no fixed point after 3 passes");
}

#[test]
fn every_set_of_absent_children_is_made_whole_and_nothing_else_is_written() {
    let manifests = manifests();
    let (whole, remembered) = converged(&manifests);
    for absent in 0_u32..1 << manifests.len() {
        let mut cluster = whole.clone();
        let mut memory = remembered.clone();
        for (index, manifest) in manifests.iter().enumerate() {
            if absent & (1 << index) != 0 {
                cluster.objects.remove(&key(manifest));
            }
        }
        let log = cluster.pass(&manifests, &mut memory);
        assert_eq!(log.writes, absent.count_ones() as usize, "{absent:b}");
        let log = cluster.pass(&manifests, &mut memory);
        assert_eq!(log.writes, 0, "{absent:b}");
        assert_eq!(cluster.objects.len(), manifests.len());
    }
}

#[test]
fn every_set_of_drifted_children_is_repaired_and_nothing_else_is_written() {
    let manifests = manifests();
    let (whole, remembered) = converged(&manifests);
    for drifted in 0_u32..1 << manifests.len() {
        let mut cluster = whole.clone();
        let mut memory = remembered.clone();
        for (index, manifest) in manifests.iter().enumerate() {
            if drifted & (1 << index) != 0 {
                cluster.objects.get_mut(&key(manifest)).unwrap().drifted = true;
            }
        }
        let log = cluster.pass(&manifests, &mut memory);
        assert_eq!(log.writes, drifted.count_ones() as usize, "{drifted:b}");
        assert_eq!(cluster.objects, whole.objects, "{drifted:b}");
        assert_eq!(memory, remembered, "{drifted:b}");
    }
}

#[test]
fn what_the_spec_no_longer_has_is_deleted_if_it_is_ours() {
    let manifests = manifests();
    let (mut cluster, mut memory) = converged(&manifests);
    let fewer: Vec<_> = manifests
        .iter()
        .filter(|manifest| !manifest.name.contains("depot"))
        .cloned()
        .collect();
    let strays = [
        ("another", Some("uid-of-another"), false),
        ("orphan", None, false),
        ("leaving", Some(UID), true),
    ];
    for (name, owner, deleting) in strays {
        let object = Object {
            uid: name.into(),
            owner: owner.map(Into::into),
            applied: Some(7),
            drifted: false,
            deleting,
            labelled: true,
            replicas: None,
        };
        cluster.objects.insert(("Service", name.into()), object);
    }
    let log = cluster.pass(&fewer, &mut memory);
    assert_eq!(log.writes, manifests.len() - fewer.len());
    // Deletions come last, so that what replaces an object is there before it goes.
    let first_deletion = log
        .verbs
        .iter()
        .position(|(_, verb)| matches!(verb, Verb::Delete { .. }));
    assert_eq!(first_deletion, Some(fewer.len()));
    assert_eq!(cluster.objects.len(), fewer.len() + strays.len());
    assert_eq!(cluster.pass(&fewer, &mut memory).writes, 0);
}

#[test]
fn a_restart_writes_nothing() {
    let manifests = manifests();
    let (mut cluster, memory) = converged(&manifests);
    let digest = applied_digest(&memory);
    let mut recalled = recall(&manifests, &cluster.world(), UID, Some(&digest));
    assert_eq!(recalled, memory);
    let log = cluster.pass(&manifests, &mut recalled);
    assert_eq!(log.writes, 0);
    assert!(log.verbs.iter().all(|(_, verb)| *verb == Verb::Keep));
}

#[test]
fn a_restart_after_any_change_applies_all_again() {
    let manifests = manifests();
    for state in [State::Absent, State::Drifted, State::Recreated] {
        let (mut cluster, mut memory) = converged(&manifests);
        let digest = applied_digest(&memory);
        state.bring_about(&mut cluster, &mut memory, &manifests[0]);
        let recalled = recall(&manifests, &cluster.world(), UID, Some(&digest));
        assert_eq!(recalled, Memory::new(), "{state:?}");
    }
    let (cluster, memory) = converged(&manifests);
    let digest = applied_digest(&memory);
    assert_eq!(
        recall(&manifests[1..], &cluster.world(), UID, Some(&digest)),
        Memory::new()
    );
    assert_eq!(
        recall(&manifests, &cluster.world(), UID, Some("another")),
        Memory::new()
    );
    assert_eq!(
        recall(&manifests, &cluster.world(), UID, None),
        Memory::new()
    );
}

#[test]
fn a_restart_beside_an_object_of_others_writes_nothing() {
    let manifests = manifests();
    for state in [
        State::ForeignUnlabelled,
        State::ForeignLabelled,
        State::FormerPortal,
        State::ApiAbsent,
    ] {
        let (mut cluster, mut memory) = converged(&manifests);
        state.bring_about(&mut cluster, &mut memory, &manifests[0]);
        settle(&mut cluster, &manifests, &mut memory, &format!("{state:?}"));
        let digest = applied_digest(&memory);
        let mut recalled = recall(&manifests, &cluster.world(), UID, Some(&digest));
        let log = cluster.pass(&manifests, &mut recalled);
        assert_eq!(log.writes, 0, "{state:?}");
    }
}

#[test]
fn the_number_of_pods_is_handed_over_and_never_lowered() {
    use ReplicasOwner::{Nobody, Other, Us};
    let fixed = "{profile: Staging, components: [{name: a, image: a, scaling: {minReplicas: 3, maxReplicas: 3}}]}";
    let autoscaled = "{profile: Staging, components: [{name: a, image: a, scaling: {minReplicas: 3, maxReplicas: 9}}]}";
    let manual = "{profile: Staging, components: [{name: a, image: a, scaling: {mode: Manual, minReplicas: 3}}]}";
    for (spec, before, after) in [
        (fixed, None, (3, Us)),
        (fixed, Some((7, Other)), (3, Us)),
        (fixed, Some((1, Nobody)), (3, Us)),
        (autoscaled, None, (3, Other)),
        (autoscaled, Some((5, Us)), (5, Other)),
        (autoscaled, Some((1, Us)), (3, Other)),
        (autoscaled, Some((1, Nobody)), (3, Other)),
        (autoscaled, Some((7, Other)), (7, Other)),
        (autoscaled, Some((2, Other)), (2, Other)),
        (manual, None, (3, Other)),
        (manual, Some((5, Us)), (5, Other)),
        (manual, Some((1, Nobody)), (3, Other)),
        (manual, Some((1, Other)), (1, Other)),
        (manual, Some((0, Other)), (0, Other)),
    ] {
        let manifests = children::manifests(&plan_of(spec));
        let (mut cluster, mut memory) = converged(&manifests);
        let key = ("Deployment", "harbor-a".to_owned());
        match before {
            Some(replicas) => {
                let object = cluster.objects.get_mut(&key).unwrap();
                object.replicas = Some(replicas);
                object.drifted = true;
            }
            None => {
                cluster.objects.remove(&key);
            }
        }
        settle(&mut cluster, &manifests, &mut memory, spec);
        assert_eq!(
            cluster.objects[&key].replicas,
            Some(after),
            "{spec}: {before:?}"
        );
    }
}

#[test]
fn an_autoscaler_takes_over_after_the_first_start_without_a_fall() {
    let spec = "{preset: Backstage, image: a}";
    let first = children::manifests(&offline::first_plan_of(spec));
    let (mut cluster, mut memory) = converged(&first);
    let key = ("Deployment", "harbor-app".to_owned());
    assert_eq!(cluster.objects[&key].replicas, Some((1, ReplicasOwner::Us)));
    let started = children::manifests(&plan_of(spec));
    settle(&mut cluster, &started, &mut memory, spec);
    assert_eq!(
        cluster.objects[&key].replicas,
        Some((3, ReplicasOwner::Other))
    );
}

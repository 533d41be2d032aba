//! `ZoneRedundant`: the ready pods of every critical component run in at least two zones, with a skew of at most one.

use std::collections::BTreeMap;

use super::{Finding, Subject};
use crate::{
    api::status::Verdict,
    assess::problems::takes,
    observe::Node,
    plan::{Component, database::COMPONENT},
};

const OBJECTIVE: &str = "ready pods in ≥ 2 zones, skew ≤ 1, for every critical component";

/// What is wrong: the verdict, its reason and the sentence.
type Broken = (Verdict, &'static str, String);

pub(super) fn judge(subject: &Subject) -> Finding {
    let finding = |status, reason| {
        Finding::new(
            status,
            reason,
            OBJECTIVE,
            "Pod.spec.nodeName, Node label topology.kubernetes.io/zone",
        )
    };
    let Some(nodes) = &subject.world.nodes else {
        return finding(Verdict::Unknown, "NoNodeAccess").message(
            "the operator may not read nodes; grant it list and watch on nodes (chart value rbac.nodes)",
        );
    };
    let mut observed = Vec::new();
    let mut worst: Option<Broken> = None;
    for component in subject.critical() {
        let zones = zones_of(subject, component, nodes);
        let text: Vec<_> = zones
            .iter()
            .map(|(zone, pods)| format!("{zone}={pods}"))
            .collect();
        observed.push(format!("{} {}", component.name, text.join(" ")));
        if worst.is_none() {
            worst = verdict(subject, component, nodes, &zones);
        }
    }
    if let Some((text, broken)) = database(subject, nodes) {
        observed.push(text);
        worst = worst.or(broken);
    }
    let (status, reason, message) = worst.map_or(
        (Verdict::True, "SpreadOverZones", None),
        |(status, reason, message)| (status, reason, Some(message)),
    );
    let mut finding = finding(status, reason).observed(observed.join(", "));
    finding.message = message;
    finding
}

/// The instances of a managed database with standbys: in which zones they are, and what is wrong with that.
fn database(
    subject: &Subject,
    nodes: &BTreeMap<Box<str>, Node>,
) -> Option<(String, Option<Broken>)> {
    let managed = subject
        .plan
        .database
        .managed()
        .filter(|managed| managed.instances > 1)?;
    let zones = subject.world.ready_by_zone(COMPONENT);
    let text: Vec<_> = zones
        .iter()
        .map(|(zone, pods)| format!("{zone}={pods}"))
        .collect();
    let known = nodes.values().any(|node| node.zone.is_some());
    let broken = (known && zones.len() < 2).then(|| {
        (
            Verdict::False,
            "DatabaseInOneZone",
            format!(
                "ready instances of Cluster {} are in {} zones, and a standby in a second one is wanted; see the condition DatabaseReady, or add nodes there",
                managed.name,
                zones.len()
            ),
        )
    });
    Some((format!("database {}", text.join(" ")), broken))
}

/// Ready pods by zone, with a zero for each zone that could take one.
fn zones_of<'a>(
    subject: &'a Subject,
    component: &'a Component,
    nodes: &'a BTreeMap<Box<str>, Node>,
) -> BTreeMap<&'a str, i32> {
    let mut zones: BTreeMap<&str, i32> = nodes
        .values()
        .filter(|node| takes(component, node))
        .filter_map(|node| Some((node.zone.as_deref()?, 0)))
        .collect();
    for (zone, pods) in subject.world.ready_by_zone(&component.name) {
        zones.insert(zone, pods);
    }
    zones
}

fn verdict(
    subject: &Subject,
    component: &Component,
    nodes: &BTreeMap<Box<str>, Node>,
    zones: &BTreeMap<&str, i32>,
) -> Option<Broken> {
    let name = &component.object_name;
    let ready = subject
        .world
        .pods_of(&component.name)
        .filter(|pod| pod.ready)
        .count();
    if !nodes.is_empty() && nodes.values().all(|node| node.zone.is_none()) {
        return Some((
            Verdict::Unknown,
            "NoZoneLabels",
            "no node has the label topology.kubernetes.io/zone; label the nodes with their zones"
                .into(),
        ));
    }
    if zones.len() < 2 {
        return Some((
            Verdict::False,
            "TooFewZones",
            format!(
                "nodes that can take pods of Deployment {name} are in {} zone; add nodes in a second one",
                zones.len()
            ),
        ));
    }
    if ready < 2 {
        return Some((
            Verdict::False,
            "TooFewPods",
            format!("Deployment {name} has {ready} ready pods; two zones need at least two"),
        ));
    }
    let used = zones.values().filter(|pods| **pods > 0).count();
    if used < 2 {
        return Some((
            Verdict::False,
            "OneZone",
            format!(
                "all pods of Deployment {name} run in one zone; set placement.spread.zones: Required, or delete a pod to have it placed anew"
            ),
        ));
    }
    let most = zones.values().max().copied().unwrap_or(0);
    let least = zones.values().min().copied().unwrap_or(0);
    (most - least > 1).then(|| {
        (
            Verdict::False,
            "Skewed",
            format!(
                "Deployment {name} has {most} pods in one zone and {least} in another; set placement.spread.zones: Required, or delete a pod of the fullest zone to have it placed anew"
            ),
        )
    })
}

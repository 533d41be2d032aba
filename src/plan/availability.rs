//! Where pods run, so that the loss of a node or a zone is survived.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Replicas, profile};
use crate::api::spec::{
    Capacity, Component, Profile, SpreadMode, TaintEffect, Toleration, TolerationOperator,
};

/// Label and taint key of interruptible nodes, as Karpenter sets it.
pub const CAPACITY_LABEL: &str = "karpenter.sh/capacity-type";

/// Where the pods of a component run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Placement {
    /// Distribution over zones.
    pub zones: SpreadMode,
    /// Distribution over nodes.
    pub nodes: SpreadMode,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// PriorityClass.
    pub priority_class_name: Option<String>,
    /// Whether interruptible nodes are preferred.
    pub prefer_spot: bool,
}

pub(super) fn placement(profile: Profile, component: &Component) -> Placement {
    let placement = component.placement.clone().unwrap_or_default();
    let spread = placement.spread.unwrap_or_default();
    let default = profile::defaults(profile).spread;
    let prefer_spot = placement.capacity == Some(Capacity::Spot);
    let mut tolerations = placement.tolerations;
    if prefer_spot {
        tolerations.push(Toleration {
            key: Some(CAPACITY_LABEL.into()),
            operator: Some(TolerationOperator::Equal),
            value: Some("spot".into()),
            effect: Some(TaintEffect::NoSchedule),
            toleration_seconds: None,
        });
    }
    Placement {
        zones: spread.zones.unwrap_or(default),
        nodes: spread.nodes.unwrap_or(default),
        node_selector: placement.node_selector,
        tolerations,
        priority_class_name: placement.priority_class_name,
        prefer_spot,
    }
}

/// A budget over a single pod would block every drain of its node; two pods are worth one in every profile.
pub(super) const fn wants_budget(replicas: &Replicas) -> bool {
    replicas.minimum() >= 2
}

//! Where the pods of a Deployment may run, as Kubernetes writes it.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    PodAntiAffinity, PreferredSchedulingTerm, Toleration, TopologySpreadConstraint,
    WeightedPodAffinityTerm,
};

use super::labels_selector;
use crate::{
    api::spec::{self, SpreadMode},
    plan::{Component, Plan, availability::CAPACITY_LABEL},
};

/// Rollouts never mix the spread of the old and the new version.
const REVISION_LABEL: &str = "pod-template-hash";

pub(super) fn spread(plan: &Plan, component: &Component) -> Option<Vec<TopologySpreadConstraint>> {
    let when_unsatisfiable = match component.placement.zones {
        SpreadMode::Required => "DoNotSchedule",
        SpreadMode::Preferred => "ScheduleAnyway",
        SpreadMode::None => return None,
    };
    Some(vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".into(),
        when_unsatisfiable: when_unsatisfiable.into(),
        label_selector: Some(labels_selector(
            plan.identity.selector(Some(&component.name)),
        )),
        match_label_keys: Some(vec![REVISION_LABEL.into()]),
        // A zone whose nodes are all cordoned must not hold up the others.
        node_taints_policy: Some("Honor".into()),
        ..TopologySpreadConstraint::default()
    }])
}

pub(super) fn affinity(plan: &Plan, component: &Component) -> Option<Affinity> {
    let term = || PodAffinityTerm {
        topology_key: "kubernetes.io/hostname".into(),
        label_selector: Some(labels_selector(
            plan.identity.selector(Some(&component.name)),
        )),
        // Without it a rollout on as many nodes as pods could never place the new pod.
        match_label_keys: Some(vec![REVISION_LABEL.into()]),
        ..PodAffinityTerm::default()
    };
    let pod_anti_affinity = match component.placement.nodes {
        SpreadMode::Required => Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![term()]),
            ..PodAntiAffinity::default()
        }),
        SpreadMode::Preferred => Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: term(),
                },
            ]),
            ..PodAntiAffinity::default()
        }),
        SpreadMode::None => None,
    };
    let node_affinity = component.placement.prefer_spot.then(|| NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![PreferredSchedulingTerm {
            weight: 100,
            preference: NodeSelectorTerm {
                match_expressions: Some(vec![NodeSelectorRequirement {
                    key: CAPACITY_LABEL.into(),
                    operator: "In".into(),
                    values: Some(vec!["spot".into()]),
                }]),
                ..NodeSelectorTerm::default()
            },
        }]),
        ..NodeAffinity::default()
    });
    (pod_anti_affinity.is_some() || node_affinity.is_some()).then_some(Affinity {
        node_affinity,
        pod_anti_affinity,
        pod_affinity: None,
    })
}

pub(in crate::children) fn tolerations(planned: &[spec::Toleration]) -> Option<Vec<Toleration>> {
    let tolerations: Vec<_> = planned
        .iter()
        .map(|toleration| Toleration {
            key: toleration.key.clone(),
            operator: toleration.operator.map(|operator| format!("{operator:?}")),
            value: toleration.value.clone(),
            effect: toleration.effect.map(|effect| format!("{effect:?}")),
            toleration_seconds: toleration.toleration_seconds,
        })
        .collect();
    (!tolerations.is_empty()).then_some(tolerations)
}

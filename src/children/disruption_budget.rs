//! One `PodDisruptionBudget` for each component of at least two pods: of n pods, n - 1 stay up during a drain, and a pod that
//! is not healthy never blocks one.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::policy::v1::PodDisruptionBudgetSpec,
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
};
use crate::{
    foreign::cloudnative_pg::POOLER_LABEL,
    plan::{Plan, database::POOLER_COMPONENT},
};

pub(super) struct DisruptionBudgetChild;

static KIND: Kind = Kind {
    group: "policy",
    version: "v1",
    kind: "PodDisruptionBudget",
    plural: "poddisruptionbudgets",
    wave: 2,
    optional: false,
    pruned: true,
};

impl Child for DisruptionBudgetChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let components = plan
            .components
            .iter()
            .filter(|component| component.disruption_budget)
            .map(|component| {
                let spec = spec(plan.identity.selector(Some(&component.name)));
                Manifest::of_component(&KIND, plan, component, &json!({"spec": spec}))
            });
        // CloudNativePG makes budgets for its instances, but none for its poolers.
        let pooler = plan.database.pooler_with_budget().map(|pooler| {
            let pods = BTreeMap::from([(POOLER_LABEL.to_owned(), pooler.name.clone())]);
            Manifest::of_database(
                &KIND,
                plan,
                POOLER_COMPONENT,
                pooler.name.clone(),
                &json!({"spec": spec(pods)}),
            )
        });
        components.chain(pooler).collect()
    }

    fn health(&self, live: &Live) -> Health {
        let status = &live.status;
        Health::Budget {
            observed_generation: status.observed_generation.unwrap_or(0),
            allowed: status.disruptions_allowed.unwrap_or(0),
            healthy: status.current_healthy.unwrap_or(0),
            desired: status.desired_healthy.unwrap_or(0),
            expected: status.expected_pods.unwrap_or(0),
        }
    }
}

fn spec(pods: BTreeMap<String, String>) -> PodDisruptionBudgetSpec {
    PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(1)),
        selector: Some(LabelSelector {
            match_labels: Some(pods),
            ..LabelSelector::default()
        }),
        unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
        ..PodDisruptionBudgetSpec::default()
    }
}

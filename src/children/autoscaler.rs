//! One `HorizontalPodAutoscaler` for each autoscaled component, from the moment its first start is over: before that it would
//! start a second pod.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricSpec, MetricTarget,
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
};
use crate::{
    api::spec::{ScalingRules, SelectPolicy},
    plan::{Autoscaling, Plan, Replicas},
};

pub(super) struct AutoscalerChild;

static KIND: Kind = Kind {
    group: "autoscaling",
    version: "v2",
    kind: "HorizontalPodAutoscaler",
    plural: "horizontalpodautoscalers",
    wave: 2,
    optional: false,
    pruned: true,
};

impl Child for AutoscalerChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        plan.components
            .iter()
            .filter(|component| !component.first_start)
            .filter_map(|component| {
                let Replicas::Autoscaled(autoscaling) = &component.replicas else {
                    return None;
                };
                let spec = spec(&component.object_name, &component.name, autoscaling);
                Some(Manifest::of_component(
                    &KIND,
                    plan,
                    component,
                    &json!({"spec": spec}),
                ))
            })
            .collect()
    }

    fn health(&self, live: &Live) -> Health {
        Health::Autoscaler {
            current: live.status.current_replicas.unwrap_or(0),
            desired: live.status.desired_replicas.unwrap_or(0),
            // Messages carry the current figures and would wake us at every sync; reasons do not.
            conditions: live
                .status
                .conditions
                .iter()
                .map(|condition| {
                    let mut condition = condition.clone();
                    if condition.status == "True" {
                        condition.message.clear();
                    }
                    condition
                })
                .collect(),
        }
    }
}

fn spec(target: &str, container: &str, autoscaling: &Autoscaling) -> HorizontalPodAutoscalerSpec {
    // The container's own use, so that injected sidecars do not count.
    let metric = |resource: &str, percent: i32| MetricSpec {
        type_: "ContainerResource".into(),
        container_resource: Some(ContainerResourceMetricSource {
            container: container.into(),
            name: resource.into(),
            target: MetricTarget {
                type_: "Utilization".into(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    };
    HorizontalPodAutoscalerSpec {
        scale_target_ref: CrossVersionObjectReference {
            api_version: Some("apps/v1".into()),
            kind: "Deployment".into(),
            name: target.into(),
        },
        min_replicas: Some(autoscaling.min),
        max_replicas: autoscaling.max,
        metrics: Some(vec![
            metric("cpu", autoscaling.cpu),
            metric("memory", autoscaling.memory),
        ]),
        behavior: autoscaling
            .behavior
            .as_ref()
            .map(|behavior| HorizontalPodAutoscalerBehavior {
                scale_up: behavior.scale_up.as_ref().map(rules),
                scale_down: behavior.scale_down.as_ref().map(rules),
            }),
    }
}

fn rules(rules: &ScalingRules) -> HPAScalingRules {
    HPAScalingRules {
        stabilization_window_seconds: rules.stabilization_window_seconds,
        select_policy: rules.select_policy.map(|policy| {
            match policy {
                SelectPolicy::Max => "Max",
                SelectPolicy::Min => "Min",
                SelectPolicy::Disabled => "Disabled",
            }
            .into()
        }),
        policies: (!rules.policies.is_empty()).then(|| {
            rules
                .policies
                .iter()
                .map(|policy| HPAScalingPolicy {
                    type_: format!("{:?}", policy.type_),
                    value: policy.value,
                    period_seconds: policy.period_seconds,
                })
                .collect()
        }),
        ..HPAScalingRules::default()
    }
}

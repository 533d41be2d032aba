//! The connection pool in front of a portal's database: PgBouncer, run by CloudNativePG.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Affinity, Container, PodAffinityTerm, PodAntiAffinity, PodSpec, PodTemplateSpec,
            TopologySpreadConstraint, WeightedPodAffinityTerm,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    deployment::placement::tolerations,
    live::{Health, Live},
    pod::resources,
};
use crate::{
    api::{database::PoolerMode, spec::SpreadMode},
    foreign::cloudnative_pg::{ClusterReference, POOLER_LABEL, PgBouncer, PoolerSpec},
    plan::{
        Plan,
        database::{Managed, POOLER_COMPONENT, Pooler},
    },
};

pub(super) struct PoolerChild;

static KIND: Kind = Kind {
    group: "postgresql.cnpg.io",
    version: "v1",
    kind: "Pooler",
    plural: "poolers",
    wave: 1,
    optional: true,
    pruned: true,
};

impl Child for PoolerChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let Some((managed, pooler)) = plan
            .database
            .managed()
            .and_then(|managed| Some((managed, managed.pooler.as_ref()?)))
        else {
            return Vec::new();
        };
        vec![Manifest::of_database(
            &KIND,
            plan,
            POOLER_COMPONENT,
            pooler.name.clone(),
            &json!({"spec": spec(plan, managed, pooler)}),
        )]
    }

    fn health(&self, live: &Live) -> Health {
        Health::Pooler {
            instances: live.status.instances.unwrap_or(0),
            phase: live.status.phase.clone(),
            phase_reason: live.status.phase_reason.clone(),
        }
    }
}

fn spec(plan: &Plan, managed: &Managed, pooler: &Pooler) -> PoolerSpec {
    PoolerSpec {
        cluster: ClusterReference {
            name: managed.name.clone(),
        },
        instances: pooler.instances,
        type_: "rw",
        pgbouncer: PgBouncer {
            pool_mode: match pooler.mode {
                PoolerMode::Transaction => "transaction",
                PoolerMode::Session | PoolerMode::None => "session",
            },
            image: pooler.image.clone(),
            parameters: parameters(pooler),
        },
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(plan.identity.selector(Some(POOLER_COMPONENT))),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                containers: vec![Container {
                    name: "pgbouncer".into(),
                    resources: Some(resources("100m", "128Mi", "128Mi")),
                    ..Container::default()
                }],
                affinity: affinity(managed, pooler),
                topology_spread_constraints: spread(managed, pooler),
                node_selector: (!managed.node_selector.is_empty())
                    .then(|| managed.node_selector.clone()),
                tolerations: tolerations(&managed.tolerations),
                ..PodSpec::default()
            }),
        },
        deployment_strategy: DeploymentStrategy {
            type_: Some("RollingUpdate".into()),
            rolling_update: Some(RollingUpdateDeployment {
                max_surge: Some(IntOrString::Int(1)),
                max_unavailable: Some(IntOrString::Int(0)),
            }),
        },
    }
}

/// `PgBouncer` by itself waits 15 s after a connection that failed, and as long for one that is not answered: with that a
/// primary that was killed cost 15 s without a write, with these 4 s. A server that is cut off is given up after 10 s.
fn parameters(pooler: &Pooler) -> BTreeMap<String, String> {
    [
        ("default_pool_size", pooler.pool_size.to_string()),
        ("max_client_conn", pooler.max_clients.to_string()),
        ("server_connect_timeout", "3".to_owned()),
        ("server_login_retry", "1".to_owned()),
        ("tcp_user_timeout", "10000".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn pods(pooler: &Pooler) -> LabelSelector {
    LabelSelector {
        match_labels: Some(BTreeMap::from([(POOLER_LABEL.into(), pooler.name.clone())])),
        ..LabelSelector::default()
    }
}

/// Preferred at most: the pods hold no data, and a pooler that cannot be replaced for want of a node helps nobody.
fn affinity(managed: &Managed, pooler: &Pooler) -> Option<Affinity> {
    (managed.spread != SpreadMode::None).then(|| Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: PodAffinityTerm {
                        topology_key: "kubernetes.io/hostname".into(),
                        label_selector: Some(pods(pooler)),
                        ..PodAffinityTerm::default()
                    },
                },
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    })
}

fn spread(managed: &Managed, pooler: &Pooler) -> Option<Vec<TopologySpreadConstraint>> {
    (managed.spread != SpreadMode::None).then(|| {
        vec![TopologySpreadConstraint {
            max_skew: 1,
            topology_key: "topology.kubernetes.io/zone".into(),
            when_unsatisfiable: "ScheduleAnyway".into(),
            label_selector: Some(pods(pooler)),
            node_taints_policy: Some("Honor".into()),
            ..TopologySpreadConstraint::default()
        }]
    })
}

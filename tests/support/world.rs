//! What the cluster would show of a portal that serves as planned, to be spoilt by tests.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{collections::BTreeMap, sync::Arc};

use portal_operator::{
    children::{
        self,
        live::{
            ClusterState, Health, LiveCondition, LiveParent, RecoveryWindow, ReplicasOwner,
            Workload,
        },
    },
    observe::{Archiving, Node, Observation, Pod, World},
    plan::Plan,
};

use super::offline::UID;

/// A condition of a child.
pub(crate) fn condition(type_: &str, status: &str, reason: &str, message: &str) -> LiveCondition {
    LiveCondition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        observed_generation: Some(1),
        last_transition_time: Some("2026-11-21T10:00:00Z".into()),
    }
}

/// A world in which everything is as the plan says.
pub(crate) fn serving(plan: &Plan) -> World {
    let mut world = World {
        nodes: Some(Arc::new(nodes())),
        pod_security: Some("restricted".into()),
        ..World::default()
    };
    for manifest in children::manifests(plan) {
        let count = plan
            .components
            .iter()
            .find(|component| component.object_name == manifest.name)
            .map_or(0, |component| component.replicas.minimum());
        let observation = Observation {
            uid: format!("uid-{}-{}", manifest.kind.kind, manifest.name).into(),
            resource_version: 10,
            generation: 1,
            deleting: false,
            owner: (!manifest.retained).then(|| UID.into()),
            owned: manifest.digest | 1,
            health: health(manifest.kind.kind, count, plan),
        };
        world.children.insert(
            (manifest.kind.kind, manifest.name.clone()),
            Arc::new(observation),
        );
    }
    if let Some(managed) = plan.database.managed() {
        let pooler = managed.pooler.as_ref().map_or(0, |pooler| pooler.instances);
        for (component, name, count) in [
            ("db", &managed.name, managed.instances),
            ("db-pooler", &format!("{}-pooler", managed.name), pooler),
        ] {
            for index in 0..count {
                world.pods.push(Arc::new(pod(component, name, index)));
            }
        }
    }
    if plan.backup.is_some() {
        world.archiving = Some(Archiving {
            begun: Some("2026-11-21T08:02:00Z".parse().unwrap()),
            covered: Some("2026-11-21T11:58:00Z".parse().unwrap()),
            measured: true,
            timeline: Some(1),
            answered: Some("2026-11-21T11:58:00Z".parse().unwrap()),
            ..Archiving::default()
        });
    }
    for component in &plan.components {
        for index in 0..component.replicas.minimum() {
            let pod = pod(&component.name, &component.object_name, index);
            world.pods.push(Arc::new(pod));
        }
    }
    world
}

/// A ready pod.
fn pod(component: &str, prefix: &str, index: i32) -> Pod {
    Pod {
        name: format!("{prefix}-{index}").into(),
        component: component.into(),
        template: "t1".into(),
        node: Some(["a1", "b1", "c1", "a2", "b2", "c2"][usize::try_from(index).unwrap()].into()),
        ready: true,
        deleting: false,
        ..Pod::default()
    }
}

fn health(kind: &str, count: i32, plan: &Plan) -> Health {
    match kind {
        "Cluster" => {
            let managed = plan.database.managed().unwrap();
            Health::Cluster(Box::new(ClusterState {
                phase: "Cluster in healthy state".into(),
                primary: format!("{}-1", managed.name),
                target_primary: format!("{}-1", managed.name),
                ready: managed.instances,
                secret_version: Some(7),
                server_name: plan
                    .backup
                    .as_ref()
                    .map(|backup| backup.server_name.clone()),
                created: Some("2026-11-21T08:00:00Z".parse().unwrap()),
                conditions: vec![condition(
                    "ContinuousArchiving",
                    "True",
                    "ContinuousArchivingSuccess",
                    "",
                )],
                ..ClusterState::default()
            }))
        }
        "Pooler" => Health::Pooler {
            instances: 2,
            phase: "active".into(),
            phase_reason: String::new(),
        },
        "Deployment" => Health::Workload(Box::new(Workload {
            replicas: count,
            replicas_owner: ReplicasOwner::Other,
            observed_generation: 1,
            total: count,
            ready: count,
            updated: count,
            available: count,
            conditions: vec![condition(
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                "",
            )],
        })),
        "HorizontalPodAutoscaler" => Health::Autoscaler {
            current: count,
            desired: count,
            conditions: vec![condition("ScalingActive", "True", "ValidMetricFound", "")],
        },
        "PodDisruptionBudget" => Health::Budget {
            observed_generation: 1,
            allowed: 1,
            healthy: count,
            desired: count - 1,
            expected: count,
        },
        "Ingress" => Health::Ingress { addresses: 1 },
        "HTTPRoute" => Health::Route {
            parents: vec![LiveParent {
                controller_name: "gateway.test/controller".into(),
                conditions: vec![
                    condition("Accepted", "True", "Accepted", ""),
                    condition("ResolvedRefs", "True", "ResolvedRefs", ""),
                ],
            }],
        },
        "Certificate" => Health::Certificate {
            not_after: Some("2027-02-01T00:00:00Z".into()),
            conditions: vec![condition("Ready", "True", "Ready", "")],
        },
        "ObjectStore" => Health::ObjectStore {
            created: Some("2026-11-21T08:00:00Z".parse().unwrap()),
            windows: BTreeMap::from([(
                plan.backup.as_ref().unwrap().server_name.clone(),
                RecoveryWindow {
                    first_recoverability_point: Some("2026-11-21T08:01:00Z".into()),
                    last_successful_backup_time: Some("2026-11-21T08:01:30Z".into()),
                    last_failed_backup_time: None,
                },
            )]),
        },
        "CronJob" => Health::CronJob {
            last_schedule: None,
            last_success: None,
            active: false,
        },
        _ => Health::None,
    }
}

/// Two nodes in each of three zones.
pub(crate) fn nodes() -> BTreeMap<Box<str>, Node> {
    ["a1", "a2", "b1", "b2", "c1", "c2"]
        .into_iter()
        .map(|name| {
            let node = Node {
                zone: Some(name[..1].into()),
                usable: true,
                ..Node::default()
            };
            (name.into(), node)
        })
        .collect()
}

/// Changes one child of a world.
pub(crate) fn change(
    world: &mut World,
    kind: &'static str,
    name: &str,
    edit: impl FnOnce(&mut Observation),
) {
    let child = world
        .children
        .get_mut(&(kind, name.to_owned()))
        .unwrap_or_else(|| panic!("there is no {kind} {name}"));
    edit(Arc::make_mut(child));
}

/// Changes the state of a Deployment.
pub(crate) fn change_workload(world: &mut World, name: &str, edit: impl FnOnce(&mut Workload)) {
    change(world, "Deployment", name, |child| {
        let Health::Workload(workload) = &mut child.health else {
            panic!("a Deployment has another state");
        };
        edit(workload);
    });
}

/// Changes the nodes.
pub(crate) fn change_nodes(world: &mut World, edit: impl FnOnce(&mut BTreeMap<Box<str>, Node>)) {
    edit(Arc::make_mut(world.nodes.as_mut().unwrap()));
}

/// Changes one pod.
pub(crate) fn change_pod(world: &mut World, index: usize, edit: impl FnOnce(&mut Pod)) {
    edit(Arc::make_mut(&mut world.pods[index]));
}

/// Takes a child away.
pub(crate) fn remove(world: &mut World, kind: &'static str, name: &str) {
    world
        .children
        .remove(&(kind, name.to_owned()))
        .unwrap_or_else(|| panic!("there is no {kind} {name}"));
}

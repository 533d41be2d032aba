//! One Deployment a component: restricted pods, spread, probed, replaced one at a time without a gap.

pub(super) mod placement;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            ConfigMapEnvSource, ConfigMapVolumeSource, Container, ContainerPort,
            EmptyDirVolumeSource, EnvFromSource, HTTPGetAction, Lifecycle, LifecycleHandler,
            PodSpec, PodTemplateSpec, Probe, SecretVolumeSource, SleepAction, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use serde_json::json;

use super::{
    Child, Hold, Kind, Manifest,
    live::{Health, Live, ReplicasOwner, Workload},
    pod::{
        authority_mount, authority_volume, container_security, mount, pod_security, pull_secrets,
    },
    service::PORT_NAME,
};
use crate::plan::{
    Component, Plan, Replicas, config::CONFIG_FOLDER, identity::MANAGER, preset::Probes,
};

/// Pod annotation whose change rolls the pods.
pub(super) const CONFIG_ANNOTATION: &str = "portalplatform.dev/config";
const PROBE_PERIOD_SECONDS: u32 = 5;

pub(super) struct DeploymentChild;

static KIND: Kind = Kind {
    group: "apps",
    version: "v1",
    kind: "Deployment",
    plural: "deployments",
    wave: 1,
    optional: false,
    pruned: true,
};

impl Child for DeploymentChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        plan.components
            .iter()
            .map(|component| {
                let mut manifest = Manifest::of_component(
                    &KIND,
                    plan,
                    component,
                    &json!({"spec": spec(plan, component)}),
                );
                manifest.initial_replicas = match component.replicas {
                    _ if component.first_start => None,
                    Replicas::Fixed(_) => None,
                    Replicas::Autoscaled(_) | Replicas::Manual { .. } => {
                        Some(component.replicas.minimum())
                    }
                };
                manifest.held = component.database.as_ref().and_then(|_| held(plan));
                manifest
            })
            .collect()
    }

    fn health(&self, live: &Live) -> Health {
        let status = &live.status;
        Health::Workload(Box::new(Workload {
            replicas: live.spec.replicas.unwrap_or(1),
            replicas_owner: replicas_owner(&live.metadata),
            observed_generation: status.observed_generation.unwrap_or(0),
            total: status.replicas.unwrap_or(0),
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            conditions: status.conditions.clone(),
        }))
    }
}

/// A first start needs the database, and the version of its Secret is part of the pods: without it a Deployment that exists
/// would be rolled for nothing.
fn held(plan: &Plan) -> Option<Hold> {
    let managed = plan.database.managed()?;
    if managed.secret_version.is_none() {
        Some(Hold::Entirely)
    } else if !managed.usable {
        Some(Hold::Creation)
    } else {
        None
    }
}

fn replicas_owner(metadata: &ObjectMeta) -> ReplicasOwner {
    let mut owner = ReplicasOwner::Nobody;
    for entry in metadata.managed_fields.iter().flatten() {
        let owns = entry
            .fields_v1
            .as_ref()
            .is_some_and(|fields| !fields.0["f:spec"]["f:replicas"].is_null());
        if owns {
            if entry.manager.as_deref() == Some(MANAGER) {
                return ReplicasOwner::Us;
            }
            owner = ReplicasOwner::Other;
        }
    }
    owner
}

fn spec(plan: &Plan, component: &Component) -> DeploymentSpec {
    let selector = plan.identity.selector(Some(&component.name));
    DeploymentSpec {
        replicas: match component.replicas {
            // One first start at a time, whatever the number later on.
            _ if component.first_start => Some(1),
            Replicas::Fixed(count) => Some(count),
            Replicas::Autoscaled(_) | Replicas::Manual { .. } => None,
        },
        selector: labels_selector(selector),
        strategy: Some(strategy(component)),
        progress_deadline_seconds: i32::try_from(component.probes.startup_seconds + 60).ok(),
        template: PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(plan.identity.component_labels(&component.name)),
                annotations: Some(BTreeMap::from([(
                    CONFIG_ANNOTATION.into(),
                    component.config_digest(plan),
                )])),
                ..ObjectMeta::default()
            }),
            spec: Some(pod(plan, component)),
        },
        ..DeploymentSpec::default()
    }
}

/// One new pod at a time, and none less than wanted. During the first start the old pod must be gone before the next comes.
fn strategy(component: &Component) -> DeploymentStrategy {
    if component.first_start {
        return DeploymentStrategy {
            type_: Some("Recreate".into()),
            rolling_update: None,
        };
    }
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

fn pod(plan: &Plan, component: &Component) -> PodSpec {
    let placement = &component.placement;
    PodSpec {
        service_account_name: Some(plan.identity.name.clone()),
        automount_service_account_token: Some(false),
        // Injected variables of neighbouring Services can break programs that read their configuration from variables.
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(plan),
        termination_grace_period_seconds: Some(i64::from(component.shutdown.grace_seconds)),
        security_context: Some(pod_security(component.run_as_user)),
        affinity: placement::affinity(plan, component),
        topology_spread_constraints: placement::spread(plan, component),
        node_selector: (!placement.node_selector.is_empty())
            .then(|| placement.node_selector.clone()),
        tolerations: placement::tolerations(&placement.tolerations),
        priority_class_name: placement.priority_class_name.clone(),
        containers: vec![container(plan, component)],
        volumes: Some(volumes(plan, component)),
        ..PodSpec::default()
    }
}

fn container(plan: &Plan, component: &Component) -> Container {
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    // First the operator's variables, so that every source of the user's wins over them.
    let mut env_from = vec![EnvFromSource {
        config_map_ref: Some(ConfigMapEnvSource {
            name: component.object_name.clone(),
            optional: None,
        }),
        ..EnvFromSource::default()
    }];
    env_from.extend(component.env_from.iter().cloned());
    Container {
        name: component.name.clone(),
        image: Some(component.image.clone()),
        command: list(&component.command),
        args: list(&component.args),
        ports: Some(vec![ContainerPort {
            name: Some(PORT_NAME.into()),
            container_port: i32::from(component.port),
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        env_from: Some(env_from),
        env: (!component.env.is_empty()).then(|| component.env.clone()),
        resources: Some(component.resources.clone()),
        liveness_probe: Some(liveness(&component.probes)),
        readiness_probe: Some(readiness(&component.probes)),
        startup_probe: Some(startup(&component.probes)),
        lifecycle: component
            .shutdown
            .pre_stop_seconds
            .map(|seconds| Lifecycle {
                pre_stop: Some(LifecycleHandler {
                    sleep: Some(SleepAction {
                        seconds: i64::from(seconds),
                    }),
                    ..LifecycleHandler::default()
                }),
                ..Lifecycle::default()
            }),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts(plan, component)),
        ..Container::default()
    }
}

fn http_get(path: &str) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String(PORT_NAME.into()),
            ..HTTPGetAction::default()
        }),
        timeout_seconds: Some(5),
        ..Probe::default()
    }
}

fn liveness(probes: &Probes) -> Probe {
    Probe {
        period_seconds: Some(10),
        failure_threshold: Some(3),
        ..http_get(&probes.liveness)
    }
}

fn readiness(probes: &Probes) -> Probe {
    Probe {
        period_seconds: i32::try_from(PROBE_PERIOD_SECONDS).ok(),
        failure_threshold: Some(3),
        ..http_get(&probes.readiness)
    }
}

fn startup(probes: &Probes) -> Probe {
    Probe {
        period_seconds: i32::try_from(PROBE_PERIOD_SECONDS).ok(),
        failure_threshold: i32::try_from(probes.startup_seconds.div_ceil(PROBE_PERIOD_SECONDS))
            .ok(),
        ..http_get(&probes.readiness)
    }
}

fn volumes(plan: &Plan, component: &Component) -> Vec<Volume> {
    let mut volumes = vec![Volume {
        name: "tmp".into(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    }];
    if plan.app_config.is_some() {
        volumes.push(Volume {
            name: "config".into(),
            config_map: Some(ConfigMapVolumeSource {
                name: plan.identity.app_config_name(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    let authority = component
        .database
        .as_ref()
        .and_then(|connection| connection.authority.clone());
    volumes.extend(authority.map(authority_volume));
    volumes.extend(component.files.iter().enumerate().map(|(index, file)| {
        Volume {
            name: format!("files-{index}"),
            config_map: file
                .config_map_ref
                .as_ref()
                .map(|map| ConfigMapVolumeSource {
                    name: map.name.clone(),
                    ..ConfigMapVolumeSource::default()
                }),
            secret: file.secret_ref.as_ref().map(|secret| SecretVolumeSource {
                secret_name: Some(secret.name.clone()),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        }
    }));
    volumes
}

fn mounts(plan: &Plan, component: &Component) -> Vec<VolumeMount> {
    let mut mounts = vec![mount("tmp".into(), "/tmp", false)];
    if plan.app_config.is_some() {
        mounts.push(mount("config".into(), CONFIG_FOLDER, true));
    }
    let authority = component
        .database
        .as_ref()
        .and_then(|connection| connection.authority.as_ref());
    if authority.is_some() {
        mounts.push(authority_mount());
    }
    mounts.extend(
        component
            .files
            .iter()
            .enumerate()
            .map(|(index, file)| mount(format!("files-{index}"), &file.mount_path, true)),
    );
    mounts
}

fn labels_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

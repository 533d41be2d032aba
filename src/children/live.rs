//! What is read of a live object: one lenient shape for every child kind, of which serde skips all but what health needs.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::ObjectMeta, jiff::Timestamp};
use kube::{Resource, api::ApiResource, core::DynamicResourceScope};
use serde::Deserialize;

use crate::api::values::Quantity;

/// An object of which only some fields of spec and status are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound = "Spec: Deserialize<'de> + Default, Status: Deserialize<'de> + Default")]
pub struct Thin<Spec, Status> {
    /// Its metadata.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Some fields of its spec.
    #[serde(default)]
    pub spec: Spec,
    /// Some fields of its status.
    #[serde(default)]
    pub status: Status,
}

/// A live object of any child kind.
pub type Live = Thin<LiveSpec, LiveStatus>;

/// The part of a spec that others may set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LiveSpec {
    /// Number of pods of a Deployment.
    pub replicas: Option<i32>,
    /// Image of a Cluster.
    pub image_name: Option<String>,
    /// Data volumes of a Cluster.
    pub storage: Option<LiveStorage>,
    /// Volumes for the write-ahead log of a Cluster.
    pub wal_storage: Option<LiveStorage>,
    /// Plugins of a Cluster.
    pub plugins: Vec<LivePlugin>,
}

/// A plugin of a Cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LivePlugin {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// Volumes of a Cluster.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveStorage {
    /// Their size.
    pub size: Option<Quantity>,
}

/// The state of an object, over all kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct LiveStatus {
    pub observed_generation: Option<i64>,
    pub replicas: Option<i32>,
    pub ready_replicas: Option<i32>,
    pub updated_replicas: Option<i32>,
    pub available_replicas: Option<i32>,
    pub current_replicas: Option<i32>,
    pub desired_replicas: Option<i32>,
    pub disruptions_allowed: Option<i32>,
    pub current_healthy: Option<i32>,
    pub desired_healthy: Option<i32>,
    pub expected_pods: Option<i32>,
    pub conditions: Vec<LiveCondition>,
    pub parents: Vec<LiveParent>,
    pub load_balancer: Option<LiveLoadBalancer>,
    pub not_after: Option<String>,
    pub phase: String,
    pub phase_reason: String,
    pub instances: Option<i32>,
    pub ready_instances: Option<i32>,
    pub current_primary: String,
    pub target_primary: String,
    pub secrets_resource_version: LiveSecretVersions,
    pub image: Option<String>,
    pub server_recovery_window: BTreeMap<String, RecoveryWindow>,
    pub last_schedule_time: Option<String>,
    pub last_successful_time: Option<String>,
    pub active: Vec<serde::de::IgnoredAny>,
}

/// What the plugin knows of the backups of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the plugin")]
pub struct RecoveryWindow {
    pub first_recoverability_point: Option<String>,
    pub last_successful_backup_time: Option<String>,
    pub last_failed_backup_time: Option<String>,
}

/// Versions of the Secrets of a Cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of CloudNativePG")]
pub struct LiveSecretVersions {
    pub application_secret_version: String,
}

/// A condition as every kind writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub struct LiveCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
    pub observed_generation: Option<i64>,
    pub last_transition_time: Option<String>,
}

/// A Gateway's word on a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are those of Gateway API")]
pub struct LiveParent {
    pub controller_name: String,
    pub conditions: Vec<LiveCondition>,
}

/// Addresses of an Ingress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default)]
pub struct LiveLoadBalancer {
    /// One entry an address.
    pub ingress: Vec<BTreeMap<String, serde_json::Value>>,
}

/// What health needs of an object, as the index keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Health {
    /// The kind has no state of its own.
    #[default]
    None,
    /// A Deployment.
    Workload(Box<Workload>),
    /// A `HorizontalPodAutoscaler`.
    Autoscaler {
        current: i32,
        desired: i32,
        conditions: Vec<LiveCondition>,
    },
    /// A `PodDisruptionBudget`.
    Budget {
        observed_generation: i64,
        allowed: i32,
        healthy: i32,
        desired: i32,
        expected: i32,
    },
    /// An Ingress.
    Ingress { addresses: usize },
    /// An `HTTPRoute`.
    Route { parents: Vec<LiveParent> },
    /// A Certificate.
    Certificate {
        not_after: Option<String>,
        conditions: Vec<LiveCondition>,
    },
    /// A Cluster of CloudNativePG.
    Cluster(Box<ClusterState>),
    /// An `ObjectStore` of the Barman Cloud plugin.
    ObjectStore {
        created: Option<Timestamp>,
        windows: BTreeMap<String, RecoveryWindow>,
    },
    /// A `CronJob`.
    CronJob {
        last_schedule: Option<String>,
        last_success: Option<String>,
        active: bool,
    },
    /// A Pooler of CloudNativePG.
    Pooler {
        instances: i32,
        phase: String,
        phase_reason: String,
    },
}

/// The state of a database cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    /// What CloudNativePG is doing.
    pub phase: String,
    /// Its words on it.
    pub phase_reason: String,
    /// Instance that takes writes.
    pub primary: String,
    /// Instance that shall take them; another than `primary` during a failover.
    pub target_primary: String,
    /// Instances that are ready.
    pub ready: i32,
    /// Image that its spec asks for.
    pub image: Option<String>,
    /// Image that its pods run.
    pub running_image: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Folder in the object store into which it archives.
    pub server_name: Option<String>,
    /// Size of the data volumes that its spec asks for.
    pub storage: Option<Quantity>,
    /// Size of the volumes for the write-ahead log that its spec asks for.
    pub wal_storage: Option<Quantity>,
    /// Instances whose PostgreSQL somebody stopped, as the annotation names them.
    pub fenced: Option<String>,
    /// Digest of the version of the Secret with the application's password.
    pub secret_version: Option<u64>,
    /// Conditions.
    pub conditions: Vec<LiveCondition>,
}

/// The state of a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Pods wanted.
    pub replicas: i32,
    /// Who owns `spec.replicas` in managedFields.
    pub replicas_owner: ReplicasOwner,
    /// Generation that the controller has seen.
    pub observed_generation: i64,
    /// Pods that exist.
    pub total: i32,
    /// Pods ready.
    pub ready: i32,
    /// Pods of the wanted version.
    pub updated: i32,
    /// Pods available.
    pub available: i32,
    /// Conditions.
    pub conditions: Vec<LiveCondition>,
}

/// Who owns the number of replicas of a Deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicasOwner {
    /// Nobody: the value is the server's default.
    #[default]
    Nobody,
    /// Our main manager: leaving the field out of a manifest would reset it to 1.
    Us,
    /// Somebody else, such as an autoscaler, a person, or our hand-over manager.
    Other,
}

impl LiveCondition {
    /// The condition of a type.
    #[must_use]
    pub fn find<'a>(conditions: &'a [Self], type_: &str) -> Option<&'a Self> {
        conditions.iter().find(|condition| condition.type_ == type_)
    }
}

impl<Spec, Status> Resource for Thin<Spec, Status> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(kind: &ApiResource) -> Cow<'_, str> {
        kind.kind.as_str().into()
    }

    fn group(kind: &ApiResource) -> Cow<'_, str> {
        kind.group.as_str().into()
    }

    fn version(kind: &ApiResource) -> Cow<'_, str> {
        kind.version.as_str().into()
    }

    fn api_version(kind: &ApiResource) -> Cow<'_, str> {
        kind.api_version.as_str().into()
    }

    fn plural(kind: &ApiResource) -> Cow<'_, str> {
        kind.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

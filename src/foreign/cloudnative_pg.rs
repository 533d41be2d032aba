//! Cluster and Pooler of CloudNativePG, as of v1.30. Its admission webhook adds defaults of its own, which stay its own.
#![allow(missing_docs, reason = "the names are those of CloudNativePG")]

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::DeploymentStrategy,
    core::v1::{PodTemplateSpec, ResourceRequirements, Toleration, TopologySpreadConstraint},
};
use serde::Serialize;

/// Label of every pod and job of a Cluster, and of its poolers' pods.
pub const CLUSTER_LABEL: &str = "cnpg.io/cluster";
/// Label of the pods of a Pooler.
pub const POOLER_LABEL: &str = "cnpg.io/poolerName";
/// Label with what a pod of a Cluster is for.
pub const ROLE_LABEL: &str = "cnpg.io/podRole";
/// Its value on the pods that run PostgreSQL.
pub const INSTANCE_ROLE: &str = "instance";
/// Annotation that stops the pods of a Cluster.
pub const HIBERNATION: &str = "cnpg.io/hibernation";
/// Annotation that names the instances whose `PostgreSQL` is stopped, as a JSON list.
pub const FENCED: &str = "cnpg.io/fencedInstances";
/// Where instances answer the operator and each other.
pub const STATUS_PORT: i32 = 8000;
/// Where instances show metrics.
pub const METRICS_PORT: i32 = 9187;
/// Where poolers show metrics.
pub const POOLER_METRICS_PORT: i32 = 9127;
/// Label of a volume with what it is for.
pub const VOLUME_ROLE_LABEL: &str = "cnpg.io/pvcRole";
/// Phase of a Cluster with nothing left to do.
pub const HEALTHY: &str = "Cluster in healthy state";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    pub instances: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_catalog_ref: Option<ImageCatalogRef>,
    pub inherited_metadata: InheritedMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_template: Option<ServiceAccountTemplate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plugins: Vec<Plugin>,
    pub bootstrap: Bootstrap,
    pub storage: Storage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_storage: Option<Storage>,
    pub resources: ResourceRequirements,
    pub affinity: Affinity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    pub postgresql: PostgreSql,
    pub certificates: Certificates,
    pub primary_update_method: &'static str,
    pub smart_shutdown_timeout: i32,
    pub primary_lease: PrimaryLease,
    #[serde(rename = "enablePDB")]
    pub enable_pdb: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogRef {
    pub api_group: &'static str,
    pub kind: String,
    pub name: String,
    pub major: i32,
}

#[derive(Serialize)]
pub struct InheritedMetadata {
    pub labels: BTreeMap<String, String>,
}

#[derive(Serialize)]
pub struct ServiceAccountTemplate {
    pub metadata: Annotations,
}

#[derive(Serialize)]
pub struct Annotations {
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plugin {
    pub name: &'static str,
    #[serde(rename = "isWALArchiver")]
    pub is_wal_archiver: bool,
    pub parameters: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
pub struct Bootstrap {
    pub initdb: Initdb,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Initdb {
    pub database: &'static str,
    pub owner: &'static str,
    pub data_checksums: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    pub size: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Affinity {
    pub enable_pod_anti_affinity: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_anti_affinity_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_key: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Toleration>>,
}

#[derive(Serialize)]
pub struct PostgreSql {
    pub parameters: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<Synchronous>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Synchronous {
    pub method: &'static str,
    pub number: i32,
    pub data_durability: &'static str,
    pub failover_quorum: bool,
}

#[derive(Serialize)]
pub struct Certificates {
    #[serde(rename = "serverAltDNSNames")]
    pub server_alt_dns_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PrimaryLease {
    pub lease_duration_seconds: i32,
    pub renew_deadline_seconds: i32,
    pub retry_period_seconds: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolerSpec {
    pub cluster: ClusterReference,
    pub instances: i32,
    #[serde(rename = "type")]
    pub type_: &'static str,
    pub pgbouncer: PgBouncer,
    pub template: PodTemplateSpec,
    pub deployment_strategy: DeploymentStrategy,
}

#[derive(Serialize)]
pub struct ClusterReference {
    pub name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PgBouncer {
    pub pool_mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub parameters: BTreeMap<String, String>,
}

//! ObjectStore of the Barman Cloud plugin, as of v0.14, and ScheduledBackup of CloudNativePG, which asks it for base backups.
#![allow(missing_docs, reason = "the names are those of the plugin")]

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, SecretKeySelector};
use serde::Serialize;

use super::cloudnative_pg::ClusterReference;

/// Name of the plugin in a Cluster and in a backup.
pub const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";
/// Container of the plugin in the pods of instances.
pub const SIDECAR: &str = "plugin-barman-cloud";
/// Image that the plugin runs beside PostgreSQL.
pub const SIDECAR_IMAGE: &str = "ghcr.io/cloudnative-pg/plugin-barman-cloud-sidecar:v0.14.0";
/// Parameter of the plugin with the name of the ObjectStore.
pub const STORE_PARAMETER: &str = "barmanObjectName";
/// Parameter of the plugin with the folder of the database in the object store.
pub const SERVER_PARAMETER: &str = "serverName";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStoreSpec {
    pub configuration: Configuration,
    pub retention_policy: String,
    pub instance_sidecar_configuration: SidecarConfiguration,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    pub destination_path: String,
    #[serde(rename = "endpointURL", skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    #[serde(rename = "endpointCA", skip_serializing_if = "Option::is_none")]
    pub endpoint_ca: Option<SecretKeySelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_credentials: Option<S3Credentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub google_credentials: Option<GoogleCredentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_credentials: Option<AzureCredentials>,
    pub wal: WalConfiguration,
    pub data: DataConfiguration,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Credentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<SecretKeySelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<SecretKeySelector>,
    #[serde(rename = "inheritFromIAMRole", skip_serializing_if = "Option::is_none")]
    pub inherit_from_iam_role: Option<bool>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GoogleCredentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_credentials: Option<SecretKeySelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gke_environment: Option<bool>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AzureCredentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<SecretKeySelector>,
    #[serde(rename = "inheritFromAzureAD", skip_serializing_if = "Option::is_none")]
    pub inherit_from_azure_ad: Option<bool>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalConfiguration {
    pub compression: &'static str,
    pub max_parallel: i32,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataConfiguration {
    pub compression: &'static str,
    pub immediate_checkpoint: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarConfiguration {
    pub retention_policy_interval_seconds: u64,
    pub resources: ResourceRequirements,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledBackupSpec {
    pub cluster: ClusterReference,
    pub schedule: String,
    pub immediate: bool,
    pub backup_owner_reference: &'static str,
    pub method: &'static str,
    pub plugin_configuration: PluginConfiguration,
}

#[derive(Serialize)]
pub struct PluginConfiguration {
    pub name: &'static str,
}

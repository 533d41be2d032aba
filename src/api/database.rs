//! `spec.database`: the PostgreSQL of a portal. The documentation of each field is what `kubectl explain` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    spec::{LocalRef, Toleration},
    values::Quantity,
};

/// The PostgreSQL database that the components connect to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// `Managed`: a CloudNativePG cluster `<portal>-db` is made and looked after. `External`: a database that exists
    /// elsewhere. `None`: the components use no database. It cannot be changed later. Default: `Managed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<DatabaseMode>,

    /// What happens to a managed database when the portal is deleted. `Retain`: the Cluster, its volumes and Secrets stay,
    /// and a portal of the same name takes them back. `Delete`: they go with the portal, with all data. Default, by
    /// profile: Production and Staging `Retain`, Development and Ephemeral `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim_policy: Option<ReclaimPolicy>,

    /// The name of the portal, to confirm that the data of a live database may go with it: needed to change
    /// `reclaimPolicy` from `Retain` to `Delete`, also where the change follows from another `profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub confirm_delete: Option<String>,

    /// Settings of a managed database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,

    /// Where an external database is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
}

/// Whose the database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum DatabaseMode {
    #[default]
    Managed,
    External,
    None,
}

/// What becomes of the data of a deleted portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ReclaimPolicy {
    Retain,
    Delete,
}

/// A CloudNativePG cluster. CPU and memory follow from `spec.size`, as do the parameters that depend on them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Managed {
    /// Number of PostgreSQL instances: one primary, the others are standbys. Default, by profile: Production 3, Staging
    /// 2, else 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9))]
    pub instances: Option<i32>,

    /// Major version of PostgreSQL, from 16 to 18; it cannot be lowered. The image is that of CloudNativePG unless
    /// `imageName` or `imageCatalogRef` says otherwise. Default: 17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 18))]
    pub version: Option<i32>,

    /// Image of PostgreSQL, with a tag that begins with its version, such as `registry.example.com/postgresql:17.2`.
    /// Instead of `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+:[0-9][^\s/]*$"))]
    pub image_name: Option<String>,

    /// Catalog that names the image of `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_catalog_ref: Option<ImageCatalogRef>,

    /// Volumes of each instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// Whether a commit waits for a standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<Synchronous>,

    /// Connection pool between the components and the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<Pooler>,

    /// Parameters of PostgreSQL, which win over those that the operator derives from `size` and the number of pods. What
    /// CloudNativePG keeps for itself cannot be set. Some need a restart of each instance, which CloudNativePG does one by
    /// one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 1024}))]
    pub parameters: BTreeMap<String, String>,

    /// Nodes that the instances may run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<DatabasePlacement>,

    /// What `spec.suspend` means for the database. `Run`: it goes on. `Hibernate`: its pods are stopped while the portal is
    /// suspended, and the volumes stay; the components cannot work meanwhile. Default: `Run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_suspended: Option<WhenSuspended>,
}

/// A catalog of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageCatalogRef {
    /// `ImageCatalog`, in the namespace of the portal, or `ClusterImageCatalog`. Default: `ClusterImageCatalog`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ImageCatalogKind>,

    /// Name of the catalog.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kinds of catalogs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ImageCatalogKind {
    ImageCatalog,
    #[default]
    ClusterImageCatalog,
}

/// Volumes of each instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the data volume. It can grow, if the storage class allows it, and never shrinks. Default: `20Gi`, or
    /// what a database that is taken back has, if that is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,

    /// StorageClass of the volumes; it applies to volumes that are made from then on. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub class_name: Option<String>,

    /// Size of a volume of its own for the write-ahead log, so that a full one does not fill the data volume. It can be
    /// added and grow, and neither shrinks nor goes away. Default: no such volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wal_size: Option<Quantity>,
}

/// Synchronous replication.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Synchronous {
    /// `Preferred`: a commit waits for one standby as long as there is one, so that a failover loses no commit; writes pause
    /// about ten seconds longer after a failover, until a standby streams again, and a statement that timed out may have
    /// been committed. `Required`: a commit waits also while no standby is there. `None`: no waiting; a failover can lose
    /// the last commits. Default, by profile: Production `Preferred`, else `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SynchronousMode>,
}

/// Whether a commit waits for a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum SynchronousMode {
    Required,
    Preferred,
    // Not `Off`, as for `SpreadMode`.
    None,
}

/// PgBouncer, as a Pooler of CloudNativePG called `<portal>-db-pooler`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pooler {
    /// `Session`: a client keeps its server connection until it disconnects; works with every program. `Transaction`: only
    /// for the length of a transaction, so that many clients share few connections; not for preset `Backstage`, whose first
    /// start fails with it. `None`: no pooler. Default, by profile: Production and Staging `Session`, else `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<PoolerMode>,

    /// Number of PgBouncer pods. Default, by profile: Production 2, Staging 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    pub instances: Option<i32>,

    /// Server connections of each PgBouncer pod. Default: in mode `Session` as many as all components can ask for at their
    /// greatest number of pods, so that one pod can carry all; in mode `Transaction` 25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5000))]
    pub pool_size: Option<i32>,

    /// Image of PgBouncer. Default: that of CloudNativePG.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+$"))]
    pub image_name: Option<String>,
}

/// How connections are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum PoolerMode {
    Session,
    Transaction,
    // Not `Off`, as for `SpreadMode`.
    None,
}

/// Nodes that the instances may run on. Their spread follows from the profile: Production requires a node each and zones
/// evenly, Staging prefers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabasePlacement {
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the instances tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,
}

/// What a suspended portal does with its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum WhenSuspended {
    #[default]
    Run,
    Hibernate,
}

/// A database that exists elsewhere. The operator does not look after it: policies about it are `Unknown`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct External {
    /// Host name or address.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?$")
    )]
    pub host: String,

    /// Port. Default: 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,

    /// Name of the database. Default: `app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_$-]*$")
    )]
    pub database: Option<String>,

    /// Secret with the keys `username` and `password`. With the label `portalplatform.dev/reload: "true"` a change of it
    /// rolls the pods.
    pub credentials_secret_ref: LocalRef,

    /// How the connection is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ExternalTls>,

    /// Connections that the server has for this portal. The policy `ConnectionBudget` compares with it; without it that
    /// policy is `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_connections: Option<i32>,
}

/// TLS to an external database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTls {
    /// `VerifyFull`: encrypted, and the server's certificate is checked for its host name. `Require`: encrypted, but
    /// anybody could answer. `Disable`: not encrypted. Default: `VerifyFull`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ExternalTlsMode>,

    /// Secret with the certificate of the authority that signed the server's. Default: the authorities of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ExternalTlsMode {
    #[default]
    VerifyFull,
    Require,
    Disable,
}

/// A key of a Secret in the namespace of the portal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key with the certificate. Default: `ca.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

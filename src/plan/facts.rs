//! What the plan must know of the world, as data.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::values::Quantity;

/// Where this operator runs, as its documents install it.
const OPERATOR_NAMESPACE: &str = "portal-operator-system";

/// What the plan must know of the world besides the spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Components that have had a ready pod: their first start is over.
    pub started: BTreeSet<String>,
    /// Namespace in which the operator of CloudNativePG runs; empty: that of its manifests.
    pub cloudnative_pg_namespace: String,
    /// Namespace in which this operator runs; empty: not known.
    pub operator_namespace: String,
    /// Whether the Barman Cloud plugin is installed.
    pub barman_plugin: bool,
    /// What is known of the database.
    pub database: DatabaseFacts,
    /// Whether HTTPRoute has `sessionPersistence` (experimental channel of Gateway API).
    pub session_persistence: bool,
    /// Versions of the Secrets and ConfigMaps whose change rolls the pods that use them, by kind and name.
    pub reload: BTreeMap<(&'static str, String), u64>,
}

impl Facts {
    /// Namespace in which this operator runs.
    pub(super) fn own_namespace(&self) -> String {
        match self.operator_namespace.as_str() {
            "" => OPERATOR_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        }
    }
}

/// What the plan must know of a managed database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Whether it accepts connections now.
    pub usable: bool,
    /// Version of the Secret with its password.
    pub secret_version: Option<u64>,
    /// Size of the data volumes that its Cluster asks for.
    pub storage: Option<Quantity>,
    /// Size of the volumes of the write-ahead log that its Cluster asks for.
    pub wal_storage: Option<Quantity>,
    /// Folder in the object store into which its Cluster archives.
    pub server_name: Option<String>,
    /// Folders in the object store that have held a base backup.
    pub used_folders: BTreeSet<String>,
    /// Whether its instances can make a base backup now.
    pub can_back_up: bool,
    /// Image that its pods run.
    pub image: Option<String>,
}

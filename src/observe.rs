//! What is known of the world, as data: one [`Observation`] a child, a few facts of each pod and node. Never the objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
    jiff::Timestamp,
};

use crate::{
    children::live::{ClusterState, Health, RecoveryWindow, Workload},
    digest::digest_u64,
    foreign::cloudnative_pg::HEALTHY,
    plan::{
        DatabaseFacts,
        database::{Managed, POOLER_COMPONENT},
        identity::MANAGER,
    },
};

/// A child as the cluster last showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Uid of the object.
    pub uid: Box<str>,
    /// Version of the object; grows with every change.
    pub resource_version: u64,
    /// Generation of its spec; 0 for kinds without.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Uid of its controller owner.
    pub owner: Option<Box<str>>,
    /// Hash of our own managedFields entry without its time; 0 if there is none. The server takes a field out of the entry
    /// when somebody else changes it, so the hash tells of drift without a look at the fields.
    pub owned: u64,
    /// What matters of its state.
    pub health: Health,
}

impl Observation {
    /// Reads an object's metadata.
    #[must_use]
    pub fn new(metadata: &ObjectMeta, health: Health) -> Self {
        Self {
            uid: metadata.uid.clone().unwrap_or_default().into(),
            resource_version: resource_version(metadata),
            generation: metadata.generation.unwrap_or(0),
            deleting: metadata.deletion_timestamp.is_some(),
            owner: controller(metadata).map(|owner| owner.uid.as_str().into()),
            owned: owned(metadata),
            health,
        }
    }

    /// The state of a Deployment.
    #[must_use]
    pub fn workload(&self) -> Option<&Workload> {
        match &self.health {
            Health::Workload(workload) => Some(workload),
            _ => None,
        }
    }
}

/// The resource version as a number; 0 if it is none.
#[must_use]
pub fn resource_version(metadata: &ObjectMeta) -> u64 {
    metadata
        .resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// The controller owner.
#[must_use]
pub fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata
        .owner_references
        .iter()
        .flatten()
        .find(|reference| reference.controller == Some(true))
}

/// Hash of what we own of an object; 0 if nothing.
#[must_use]
pub fn owned(metadata: &ObjectMeta) -> u64 {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .find(|entry| {
            entry.manager.as_deref() == Some(MANAGER)
                && entry.operation.as_deref() == Some("Apply")
                && entry.subresource.is_none()
        })
        .and_then(|entry| entry.fields_v1.as_ref())
        .map_or(0, |fields| digest_u64(&fields.0))
}

/// A pod of a portal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Name.
    pub name: Box<str>,
    /// Component.
    pub component: Box<str>,
    /// Version of its template.
    pub template: Box<str>,
    /// Node, once scheduled.
    pub node: Option<Box<str>>,
    /// Whether it serves.
    pub ready: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What keeps it from serving.
    pub trouble: Option<PodTrouble>,
    /// Its address, for an instance of a database.
    pub address: Option<Box<str>>,
    /// Whether the archiver runs beside PostgreSQL; `None`: it is no instance of a database.
    pub archiver: Option<bool>,
    /// What the program of a job that made a dump left behind when it ended.
    pub record: Option<Box<str>>,
}

/// What keeps a pod from serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodTrouble {
    /// No node takes it; the scheduler's words.
    Unschedulable(Box<str>),
    /// The container cannot start.
    Waiting {
        /// The kubelet's word for it.
        reason: Box<str>,
        /// The kubelet's sentence.
        message: Box<str>,
    },
    /// The container ends again and again.
    Crashing {
        /// Exit code of the last run.
        exit_code: i32,
        /// Such as `OOMKilled` or `Error`.
        reason: Box<str>,
        /// Number of restarts.
        restarts: i32,
    },
    /// The container runs, but the startup check has not succeeded yet.
    Starting,
    /// The container runs, but the readiness check fails.
    NotReady,
    /// The pod ended and will not come back, such as `Evicted`.
    Failed(Box<str>),
}

/// A volume of the database of a portal, which is a `PersistentVolumeClaim`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Name.
    pub name: Box<str>,
    /// What CloudNativePG has it for: `PG_DATA` or `PG_WAL`.
    pub role: Box<str>,
    /// Size that is asked for.
    pub requested: Box<str>,
    /// Size that it has; empty: it is not bound.
    pub capacity: Box<str>,
    /// StorageClass.
    pub class: Box<str>,
}

/// What the primary of a database told of its archived log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archiving {
    /// A moment until which all that was committed is in the archive.
    pub covered: Option<Timestamp>,
    /// When it was asked for the first time by this process.
    pub begun: Option<Timestamp>,
    /// Whether `covered` was found out by this process, and not only written down by an earlier one.
    pub measured: bool,
    /// The newest timeline that follows in the archive without a gap.
    pub timeline: Option<u32>,
    /// When a failover was noticed that may have left a gap in the archive, and no base backup was made since.
    pub gap: Option<Timestamp>,
    /// When the primary last answered.
    pub answered: Option<Timestamp>,
    /// Why it does not answer now.
    pub failure: Option<Box<str>>,
    /// Since when finished segments wait and none was archived.
    pub stalled: Option<Timestamp>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Zone, if it is labelled with one.
    pub zone: Option<Box<str>>,
    /// Whether it is ready and not cordoned.
    pub usable: bool,
    /// Taints that keep pods away: key, value, effect.
    pub taints: Vec<(Box<str>, Box<str>, Box<str>)>,
    /// Labels, for node selectors.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// What is known of the API of a child kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiState {
    /// Its objects are known.
    Synced,
    /// The cluster does not have it.
    Absent,
    /// Its objects cannot be read, and why.
    Blocked(String),
}

/// Key of a child within its portal: kind and name.
pub type ChildKey = (&'static str, String);

/// All that is known about one portal.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Children that carry the label of the portal.
    pub children: BTreeMap<ChildKey, Arc<Observation>>,
    /// Pods of the portal.
    pub pods: Vec<Arc<Pod>>,
    /// Volumes of the portal's database.
    pub volumes: Vec<Arc<Volume>>,
    /// What the primary of its database told; `None`: it has not been asked yet.
    pub archiving: Option<Archiving>,
    /// Nodes by name; `None` without permission.
    pub nodes: Option<Arc<BTreeMap<Box<str>, Node>>>,
    /// Pod security level that the namespace enforces; `None` without permission.
    pub pod_security: Option<Box<str>>,
    /// The API of each child kind; a kind that is not listed is synced.
    pub apis: BTreeMap<&'static str, ApiState>,
    /// Whether HTTPRoute has `sessionPersistence`.
    pub session_persistence: bool,
    /// Versions of the Secrets and ConfigMaps of the namespace whose change rolls the pods that use them.
    pub reload: BTreeMap<ChildKey, u64>,
}

impl World {
    /// The state of a kind's API.
    #[must_use]
    pub fn api(&self, kind: &str) -> &ApiState {
        self.apis.get(kind).unwrap_or(&ApiState::Synced)
    }

    /// A child of the portal.
    #[must_use]
    pub fn child(&self, kind: &'static str, name: &str) -> Option<&Observation> {
        self.children.get(&(kind, name.to_owned())).map(Arc::as_ref)
    }

    /// The state of a database cluster.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&ClusterState> {
        match &self.child("Cluster", name)?.health {
            Health::Cluster(cluster) => Some(cluster),
            _ => None,
        }
    }

    /// What the plugin knows of the backups of a database.
    #[must_use]
    pub fn recovery_window(&self, store: &str, server_name: &str) -> Option<&RecoveryWindow> {
        self.recovery_windows(store)?.get(server_name)
    }

    fn recovery_windows(&self, store: &str) -> Option<&BTreeMap<String, RecoveryWindow>> {
        match &self.child("ObjectStore", store)?.health {
            Health::ObjectStore { windows, .. } => Some(windows),
            _ => None,
        }
    }

    /// Pods of a pooler that serve. Its status counts pods that exist, so it is asked only where none can be seen.
    #[must_use]
    pub fn pooler_ready(&self, name: &str) -> i32 {
        let Some(Health::Pooler {
            instances, phase, ..
        }) = self.child("Pooler", name).map(|child| &child.health)
        else {
            return 0;
        };
        let (mut seen, mut ready) = (0, 0);
        for pod in self.pods_of(POOLER_COMPONENT) {
            seen += 1;
            ready += i32::from(pod.ready);
        }
        match (seen, phase.as_str()) {
            (0, "active") => *instances,
            _ => ready,
        }
    }

    /// What the plan must know of a database cluster: whether it accepts connections, through its pooler if it has one.
    #[must_use]
    pub fn database_facts(&self, managed: &Managed) -> DatabaseFacts {
        // One that is not seen may have lost its labels only, and its log goes on where it went.
        let Some(cluster) = self.cluster(&managed.name) else {
            return DatabaseFacts::default();
        };
        // The role that PgBouncer logs in with was there only when all instances were: until then every connection fails.
        let pooled = managed
            .pooler
            .as_ref()
            .is_none_or(|pooler| cluster.phase == HEALTHY && self.pooler_ready(&pooler.name) > 0);
        DatabaseFacts {
            usable: pooled && cluster.ready > 0 && !cluster.primary.is_empty(),
            secret_version: cluster.secret_version,
            storage: cluster.storage.clone(),
            wal_storage: cluster.wal_storage.clone(),
            server_name: cluster.server_name.clone(),
            used_folders: self
                .recovery_windows(&managed.name)
                .map(|windows| windows.keys().cloned().collect())
                .unwrap_or_default(),
            can_back_up: self.can_back_up(),
            image: cluster.running_image.clone(),
        }
    }

    /// Whether each instance that serves has the archiver beside it, which also makes base backups. CloudNativePG gives it to the
    /// instances one after the other, and has a backup made by any of them.
    fn can_back_up(&self) -> bool {
        let mut serving = self
            .pods
            .iter()
            .filter(|pod| pod.ready && !pod.deleting)
            .filter_map(|pod| pod.archiver)
            .peekable();
        serving.peek().is_some() && serving.all(|archiver| archiver)
    }

    /// The Deployment of a component.
    #[must_use]
    pub fn workload(&self, object_name: &str) -> Option<(&Observation, &Workload)> {
        let observation = self.child("Deployment", object_name)?;
        Some((observation, observation.workload()?))
    }

    /// Pods of a component that are not being deleted.
    pub fn pods_of<'a, 'c>(
        &'a self,
        component: &'c str,
    ) -> impl Iterator<Item = &'a Pod> + use<'a, 'c> {
        self.pods
            .iter()
            .map(Arc::as_ref)
            .filter(move |pod| &*pod.component == component && !pod.deleting)
    }

    /// Ready pods of a component by zone, where nodes can be read and have zones.
    #[must_use]
    pub fn ready_by_zone(&self, component: &str) -> BTreeMap<&str, i32> {
        let mut zones = BTreeMap::new();
        let nodes = self.nodes.iter().flat_map(|nodes| {
            self.pods_of(component)
                .filter(|pod| pod.ready)
                .filter_map(|pod| nodes.get(pod.node.as_ref()?))
        });
        for zone in nodes.filter_map(|node| node.zone.as_deref()) {
            *zones.entry(zone).or_insert(0) += 1;
        }
        zones
    }

    /// Components that have had a ready pod, as far as the live objects tell: one is ready now, or its autoscaler exists,
    /// which is made only afterwards.
    #[must_use]
    pub fn started<'a>(
        &self,
        components: impl Iterator<Item = (&'a str, String)>,
    ) -> BTreeSet<String> {
        components
            .filter(|(_, object_name)| {
                self.child("HorizontalPodAutoscaler", object_name).is_some()
                    || self
                        .workload(object_name)
                        .is_some_and(|(_, workload)| workload.ready >= 1)
            })
            .map(|(component, _)| component.to_owned())
            .collect()
    }
}

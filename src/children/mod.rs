//! The child kinds. Each is one file (`impl Child`) and one line in [`REGISTRY`]; watches, the order of writes, pruning,
//! capability gating and the needed permissions all come from that list.
//!
//! Pure: a child takes the plan and cannot fail.

mod autoscaler;
mod certificate;
mod cluster;
mod config_map;
mod cron_job;
mod deployment;
mod disruption_budget;
mod http_route;
mod ingress;
pub mod live;
mod network_policy;
mod object_store;
mod pod;
mod pooler;
mod scheduled_backup;
mod service;
mod service_account;

use std::collections::BTreeMap;

use kube::api::ApiResource;
use serde::Serialize;
use serde_json::{Value, json};

use self::live::{Health, Live};
use crate::{
    digest::digest_u64,
    plan::{Component, Plan},
};

/// Every child kind.
pub const REGISTRY: [&dyn Child; 15] = [
    &service_account::ServiceAccountChild,
    &config_map::ConfigMapChild,
    &network_policy::NetworkPolicyChild,
    &certificate::CertificateChild,
    &object_store::ObjectStoreChild,
    &cluster::ClusterChild,
    &pooler::PoolerChild,
    &scheduled_backup::ScheduledBackupChild,
    &cron_job::CronJobChild,
    &service::ServiceChild,
    &deployment::DeploymentChild,
    &autoscaler::AutoscalerChild,
    &disruption_budget::DisruptionBudgetChild,
    &ingress::IngressChild,
    &http_route::HttpRouteChild,
];

/// A kind of object that portals consist of.
pub trait Child: Sync {
    /// Its API, its place in the order of writes, and whether the cluster may lack it.
    fn kind(&self) -> &'static Kind;

    /// The objects of this kind that the plan asks for.
    fn manifests(&self, plan: &Plan) -> Vec<Manifest>;

    /// What matters of an object's state. Kinds without a state of their own have none.
    fn health(&self, live: &Live) -> Health {
        let _ = live;
        Health::None
    }
}

/// The API of a child kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// Kind.
    pub kind: &'static str,
    /// Name of the resource in paths and RBAC rules.
    pub plural: &'static str,
    /// Objects of a lower wave are written first; those of one wave in parallel.
    pub wave: u8,
    /// `true`: part of an add-on that the cluster may lack.
    pub optional: bool,
    /// `true`: an edit of the spec can make an object of the kind superfluous, so that the operator deletes it. The others
    /// go with their portal, by garbage collection.
    pub pruned: bool,
}

impl Kind {
    /// `apiVersion` of the kind.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// What the operator does with objects of the kind, as RBAC verbs. Lists are streamed by `watch`.
    #[must_use]
    pub fn verbs(&self) -> Vec<&'static str> {
        let mut verbs = vec!["create", "get", "patch", "watch"];
        if self.pruned {
            verbs.insert(1, "delete");
        }
        verbs
    }

    /// The kind as the dynamic client wants it.
    #[must_use]
    pub fn api_resource(&self) -> ApiResource {
        ApiResource {
            group: self.group.into(),
            version: self.version.into(),
            api_version: self.api_version(),
            kind: self.kind.into(),
            plural: self.plural.into(),
        }
    }

    /// Name of the CustomResourceDefinition that brings an optional kind.
    #[must_use]
    pub fn crd_name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }
}

/// An object as it shall be.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its name.
    pub name: String,
    /// The whole object as it is applied.
    pub body: Value,
    /// Digest of `body`.
    pub digest: u64,
    /// Number of pods to set once, where somebody else sets it from then on.
    pub initial_replicas: Option<i32>,
    /// `true`: it holds data that outlives its portal, so it has no owner.
    pub retained: bool,
    /// What keeps it from being written now.
    pub held: Option<Hold>,
}

/// What may not happen to a child while the database is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It may be changed, but not created.
    Creation,
    /// Neither.
    Entirely,
}

impl Manifest {
    /// An object of the database.
    pub(crate) fn of_database(
        kind: &'static Kind,
        plan: &Plan,
        component: &str,
        name: String,
        content: &impl Serialize,
    ) -> Self {
        let labels = plan.identity.component_labels(component);
        Self::new(kind, plan, name, &labels, content)
    }

    /// An object of the whole portal.
    pub(crate) fn of_portal(
        kind: &'static Kind,
        plan: &Plan,
        name: String,
        content: &impl Serialize,
    ) -> Self {
        Self::new(kind, plan, name, &plan.identity.labels(), content)
    }

    /// An object of one component, named after it.
    pub(crate) fn of_component(
        kind: &'static Kind,
        plan: &Plan,
        component: &Component,
        content: &impl Serialize,
    ) -> Self {
        let labels = plan.identity.component_labels(&component.name);
        let name = component.object_name.clone();
        Self::new(kind, plan, name, &labels, content)
    }

    fn new(
        kind: &'static Kind,
        plan: &Plan,
        name: String,
        labels: &BTreeMap<String, String>,
        content: &impl Serialize,
    ) -> Self {
        let identity = &plan.identity;
        let mut body = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.kind,
            "metadata": {
                "name": name,
                "namespace": identity.namespace,
                "labels": labels,
                "ownerReferences": [identity.owner_reference()],
            },
        });
        // The content is plain data of this crate's or Kubernetes' own types, which always serialize.
        if let Ok(Value::Object(content)) = serde_json::to_value(content) {
            for (key, value) in content {
                body[key] = value;
            }
        }
        Self {
            kind,
            name,
            digest: digest_u64(&body),
            body,
            initial_replicas: None,
            retained: false,
            held: None,
        }
    }

    /// The same without an owner, so that it stays when its portal is deleted.
    pub(crate) fn retained(mut self) -> Self {
        if let Some(metadata) = self.body["metadata"].as_object_mut() {
            metadata.remove("ownerReferences");
        }
        self.retained = true;
        self.digest = digest_u64(&self.body);
        self
    }

    /// The same with annotations.
    pub(crate) fn annotated<'a>(
        mut self,
        annotations: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        let annotations: serde_json::Map<String, Value> = annotations
            .into_iter()
            .map(|(key, value)| (key.clone(), Value::String(value.clone())))
            .collect();
        if !annotations.is_empty() {
            self.body["metadata"]["annotations"] = Value::Object(annotations);
            self.digest = digest_u64(&self.body);
        }
        self
    }
}

/// Every object that the plan asks for, in the order of writes.
#[must_use]
pub fn manifests(plan: &Plan) -> Vec<Manifest> {
    let mut manifests: Vec<Manifest> = REGISTRY
        .iter()
        .flat_map(|child| child.manifests(plan))
        .collect();
    manifests.sort_by_key(|manifest| manifest.kind.wave);
    manifests
}

/// The child kind of a name such as `Deployment`.
#[must_use]
pub fn by_kind(kind: &str) -> Option<&'static dyn Child> {
    REGISTRY
        .iter()
        .copied()
        .find(|child| child.kind().kind == kind)
}

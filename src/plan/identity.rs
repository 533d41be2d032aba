//! Names, labels and ownership of everything that belongs to one portal.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use serde::Serialize;

use super::SpecProblem;
use crate::api::spec::PortalPlatform;

/// Label with the name of the portal; part of every selector.
pub const NAME_LABEL: &str = "portalplatform.dev/name";
/// Label with the name of the component; part of every selector.
pub const COMPONENT_LABEL: &str = "portalplatform.dev/component";
/// Label by which the operator's watches find its objects.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`], and field manager of every child.
pub const MANAGER: &str = "portal-operator";
/// Field manager that holds the number of replicas while an autoscaler takes it over.
pub const HANDOVER_MANAGER: &str = "portal-operator-handover";
/// Field manager of the status.
pub const STATUS_MANAGER: &str = "portal-operator-status";

/// Longest name of a portal: with a component's 20 characters and a dash it stays a DNS label.
pub const MAX_NAME: usize = 40;

/// Who a portal is.
#[derive(Clone, Debug, Serialize)]
pub struct Identity {
    /// Name of the portal.
    pub name: String,
    /// Namespace of the portal.
    pub namespace: String,
    /// Uid of the portal. Not part of the revision: a portal created again from the same spec has the same.
    #[serde(skip)]
    pub uid: String,
}

impl Identity {
    pub(super) fn of(portal: &PortalPlatform, problems: &mut Vec<SpecProblem>) -> Self {
        let name = portal.metadata.name.clone().unwrap_or_default();
        if name.len() > MAX_NAME || !is_service_name(&name) {
            problems.push(SpecProblem {
                field: "metadata.name".into(),
                message: format!(
                    "{name:?} must be at most {MAX_NAME} characters, begin with a letter and hold only a-z, 0-9 and '-'"
                ),
            });
        }
        Self {
            name,
            namespace: portal.metadata.namespace.clone().unwrap_or_default(),
            uid: portal.metadata.uid.clone().unwrap_or_default(),
        }
    }

    /// Name of a component's objects.
    #[must_use]
    pub fn object_name(&self, component: &str) -> String {
        format!("{}-{component}", self.name)
    }

    /// Name of the ConfigMap with the application's configuration file.
    #[must_use]
    pub fn app_config_name(&self) -> String {
        format!("{}-config", self.name)
    }

    /// Name of the database cluster.
    #[must_use]
    pub fn database_name(&self) -> String {
        format!("{}-db", self.name)
    }

    /// Name of the connection pool.
    #[must_use]
    pub fn pooler_name(&self) -> String {
        format!("{}-db-pooler", self.name)
    }

    /// Name of the Secret with the certificate that cert-manager obtains.
    #[must_use]
    pub fn tls_secret_name(&self) -> String {
        format!("{}-tls", self.name)
    }

    /// Labels of an object of the whole portal.
    ///
    /// Not `app.kubernetes.io/instance`: Argo CD may track by it, and would prune our objects.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (MANAGED_BY_LABEL.into(), MANAGER.into()),
            ("app.kubernetes.io/part-of".into(), self.name.clone()),
            (NAME_LABEL.into(), self.name.clone()),
        ])
    }

    /// Labels of an object of one component.
    #[must_use]
    pub fn component_labels(&self, component: &str) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.insert("app.kubernetes.io/component".into(), component.into());
        labels.insert(COMPONENT_LABEL.into(), component.into());
        labels
    }

    /// Labels that select the pods of the portal, or of one component.
    #[must_use]
    pub fn selector(&self, component: Option<&str>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([(NAME_LABEL.to_owned(), self.name.clone())]);
        if let Some(component) = component {
            labels.insert(COMPONENT_LABEL.into(), component.into());
        }
        labels
    }

    /// The reference by which garbage collection removes an object after its portal.
    #[must_use]
    pub fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: PortalPlatform::api_version(&()).into_owned(),
            kind: PortalPlatform::kind(&()).into_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            // Setting it would need permission to update the finalizers of the portal; nothing here delays a deletion.
            block_owner_deletion: None,
        }
    }
}

fn is_service_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

//! `portal-operator render`: every object that the operator would apply, without a cluster.

use std::collections::BTreeSet;

use serde_json::Value;

use super::portals::{self, FileError};
use crate::{
    api::PortalPlatform,
    children::{self, Manifest},
    plan::{self, Facts, SpecProblem},
    settings::{CapabilityName, RenderSettings},
};

/// Why nothing can be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The spec.
    #[error("PortalPlatform {name} cannot be carried out: {problems}")]
    Spec {
        /// The portal.
        name: String,
        /// Fields and remedies.
        problems: String,
    },
    /// The output.
    #[error("failed to write YAML")]
    Yaml(#[from] serde_yaml_ng::Error),
}

/// The objects as a YAML stream.
///
/// # Errors
/// [`RenderError`], which names the file, or the field of the spec.
pub fn text(settings: &RenderSettings) -> Result<String, RenderError> {
    let capabilities: BTreeSet<_> = settings.capabilities.iter().copied().collect();
    let mut text = String::new();
    for portal in portals::read(&settings.file, &settings.namespace)? {
        for manifest in manifests(&portal, &capabilities, !settings.first_start)? {
            text.push_str("---\n");
            text.push_str(&crate::yaml::to_string(&unowned(manifest.body))?);
        }
    }
    Ok(text)
}

/// The objects of one portal, with its first start over or not.
///
/// # Errors
/// [`RenderError::Spec`].
pub fn manifests(
    portal: &PortalPlatform,
    capabilities: &BTreeSet<CapabilityName>,
    started: bool,
) -> Result<Vec<Manifest>, RenderError> {
    let problems = |problems: Vec<SpecProblem>| RenderError::Spec {
        name: portal.metadata.name.clone().unwrap_or_default(),
        problems: problems
            .iter()
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect::<Vec<_>>()
            .join("; "),
    };
    let first = plan::plan(portal, &Facts::default()).map_err(problems)?;
    let facts = Facts {
        started: if started {
            first
                .components
                .iter()
                .map(|component| component.name.clone())
                .collect()
        } else {
            BTreeSet::new()
        },
        barman_plugin: capabilities.contains(&CapabilityName::BarmanCloud),
        session_persistence: capabilities.contains(&CapabilityName::GatewayExperimental),
        ..Facts::default()
    };
    let plan = plan::plan(portal, &facts).map_err(problems)?;
    Ok(children::manifests(&plan)
        .into_iter()
        .filter(|manifest| match manifest.kind.group {
            "gateway.networking.k8s.io" => {
                capabilities.contains(&CapabilityName::Gateway)
                    || capabilities.contains(&CapabilityName::GatewayExperimental)
            }
            "cert-manager.io" => capabilities.contains(&CapabilityName::CertManager),
            "barmancloud.cnpg.io" => capabilities.contains(&CapabilityName::BarmanCloud),
            "postgresql.cnpg.io" => capabilities.contains(&CapabilityName::CloudnativePg),
            _ => true,
        })
        .collect())
}

/// An object without a reference to an owner that has no uid: a portal gets one only when it is created, and the API server
/// refuses a reference without.
pub(super) fn unowned(mut body: Value) -> Value {
    if body["metadata"]["ownerReferences"][0]["uid"] == ""
        && let Some(metadata) = body["metadata"].as_object_mut()
    {
        metadata.remove("ownerReferences");
    }
    body
}

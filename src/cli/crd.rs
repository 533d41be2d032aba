//! `portal-operator crd`: prints the CustomResourceDefinition.

use crate::api;

/// The CRD as YAML.
///
/// # Errors
/// Never in practice: a CRD is plain data.
pub fn text() -> Result<String, serde_yaml_ng::Error> {
    let mut crd = serde_json::to_value(api::crd()).unwrap_or_default();
    // Kubernetes fills the status; an empty one in a file would only be a difference for GitOps tools.
    if let Some(map) = crd.as_object_mut() {
        map.remove("status");
    }
    crate::yaml::to_string(&crd)
}

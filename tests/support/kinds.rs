//! The APIs that tests use by the name of the kind.

use kube::api::ApiResource;
use portal_operator::children::by_kind;

/// The API of a kind.
pub fn resource(kind: &str) -> ApiResource {
    if let Some(child) = by_kind(kind) {
        return child.kind().api_resource();
    }
    let (group, version, plural) = match kind {
        "PortalPlatform" => ("portalplatform.dev", "v1alpha1", "portalplatforms"),
        "Namespace" => ("", "v1", "namespaces"),
        "Node" => ("", "v1", "nodes"),
        "Pod" => ("", "v1", "pods"),
        "Secret" => ("", "v1", "secrets"),
        "PersistentVolumeClaim" => ("", "v1", "persistentvolumeclaims"),
        "Event" => ("", "v1", "events"),
        "ResourceQuota" => ("", "v1", "resourcequotas"),
        "LimitRange" => ("", "v1", "limitranges"),
        "ReplicaSet" => ("apps", "v1", "replicasets"),
        "Lease" => ("coordination.k8s.io", "v1", "leases"),
        "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
        "ValidatingAdmissionPolicy" => (
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicies",
        ),
        "ValidatingAdmissionPolicyBinding" => (
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicybindings",
        ),
        "Role" => ("rbac.authorization.k8s.io", "v1", "roles"),
        "RoleBinding" => ("rbac.authorization.k8s.io", "v1", "rolebindings"),
        "ClusterRole" => ("rbac.authorization.k8s.io", "v1", "clusterroles"),
        "ClusterRoleBinding" => ("rbac.authorization.k8s.io", "v1", "clusterrolebindings"),
        _ => panic!("add {kind} to the table of kinds"),
    };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: if group.is_empty() {
            version.into()
        } else {
            format!("{group}/{version}")
        },
        kind: kind.into(),
        plural: plural.into(),
    }
}

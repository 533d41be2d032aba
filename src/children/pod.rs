//! What every pod of a portal has in common.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, KeyToPath, LocalObjectReference, PodSecurityContext, ResourceRequirements,
        SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use crate::plan::{
    Plan,
    config::{DATABASE_AUTHORITY, DATABASE_FOLDER},
};

/// Name of the volume with the certificate of the database's authority.
const AUTHORITY_VOLUME: &str = "database-ca";

/// What the level `restricted` asks of a pod.
pub(super) fn pod_security(user: Option<i64>) -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: user,
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

/// What the level `restricted` asks of a container, and a file system that cannot be written.
pub(super) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            add: None,
        }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

/// The Secrets that every image is pulled with.
pub(super) fn pull_secrets(plan: &Plan) -> Option<Vec<LocalObjectReference>> {
    (!plan.image_pull_secrets.is_empty()).then(|| {
        plan.image_pull_secrets
            .iter()
            .map(|name| LocalObjectReference { name: name.clone() })
            .collect()
    })
}

/// The certificate of the database's authority. Only the certificate: the Secret may hold the authority's key, too.
pub(super) fn authority_volume((secret, key): (String, String)) -> Volume {
    secret_file(AUTHORITY_VOLUME, secret, key, DATABASE_AUTHORITY)
}

/// Where that is mounted.
pub(super) fn authority_mount() -> VolumeMount {
    mount(AUTHORITY_VOLUME.into(), DATABASE_FOLDER, true)
}

/// CPU and memory that are requested, and the limit of memory. CPU is never limited, since a limit only throttles.
pub(super) fn resources(cpu: &str, memory: &str, memory_limit: &str) -> ResourceRequirements {
    let quantity = |name: &str, value: &str| (name.to_owned(), Quantity(value.into()));
    ResourceRequirements {
        claims: None,
        limits: Some(BTreeMap::from([quantity("memory", memory_limit)])),
        requests: Some(BTreeMap::from([
            quantity("cpu", cpu),
            quantity("memory", memory),
        ])),
    }
}

/// One key of a Secret as a file.
pub(super) fn secret_file(volume: &str, secret: String, key: String, file: &str) -> Volume {
    Volume {
        name: volume.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            items: Some(vec![KeyToPath {
                key,
                path: file.into(),
                mode: None,
            }]),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A folder of a container.
pub(super) fn mount(name: String, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name,
        mount_path: path.into(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

//! The object store of a portal's backups, for the Barman Cloud plugin. It holds no data but is the way to restore it: it is never
//! deleted by an edit of the spec, and stays with the database where that outlives the portal.

use k8s_openapi::api::core::v1::{EnvVar, SecretKeySelector};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    live::{Health, Live},
    pod::resources,
};
use crate::{
    api::database::ReclaimPolicy,
    foreign::barman::{
        AzureCredentials, Configuration, DataConfiguration, GoogleCredentials, ObjectStoreSpec,
        S3Credentials, SidecarConfiguration, WalConfiguration,
    },
    plan::{
        Plan,
        backup::{Credentials, Destination},
        database::COMPONENT,
    },
};

pub(super) struct ObjectStoreChild;

static KIND: Kind = Kind {
    group: "barmancloud.cnpg.io",
    version: "v1",
    kind: "ObjectStore",
    plural: "objectstores",
    wave: 0,
    optional: true,
    pruned: false,
};

impl Child for ObjectStoreChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let (Some(managed), Some(backup)) = (plan.database.managed(), &plan.backup) else {
            return Vec::new();
        };
        if !backup.attached {
            return Vec::new();
        }
        let spec = ObjectStoreSpec {
            configuration: configuration(&backup.destination),
            retention_policy: backup.retention.clone(),
            instance_sidecar_configuration: SidecarConfiguration {
                retention_policy_interval_seconds: backup.look_seconds,
                // Without a request of its own, archiving starves on a busy node.
                resources: resources("100m", "256Mi", "512Mi"),
                env: region(&backup.destination),
            },
        };
        let manifest = Manifest::of_database(
            &KIND,
            plan,
            COMPONENT,
            backup.name.clone(),
            &json!({"spec": spec}),
        );
        vec![if managed.reclaim == ReclaimPolicy::Retain {
            manifest.retained()
        } else {
            manifest
        }]
    }

    fn health(&self, live: &Live) -> Health {
        Health::ObjectStore {
            created: live.metadata.creation_timestamp.as_ref().map(|time| time.0),
            windows: live.status.server_recovery_window.clone(),
        }
    }
}

fn configuration(destination: &Destination) -> Configuration {
    let mut configuration = Configuration {
        destination_path: destination.path.clone(),
        endpoint_url: destination.endpoint.clone(),
        endpoint_ca: destination.authority.clone().map(selector),
        wal: WalConfiguration {
            compression: "gzip",
            // A standby that is promoted asks the archive for segments one by one: with two at once it takes twice as long.
            max_parallel: 1,
        },
        data: DataConfiguration {
            compression: "gzip",
            // A base backup begins with a checkpoint, which otherwise takes up to five minutes where much is written.
            immediate_checkpoint: true,
        },
        ..Configuration::default()
    };
    match destination.credentials.clone() {
        Credentials::S3 { secret, id, key } => {
            configuration.s3_credentials = Some(S3Credentials {
                access_key_id: Some(selector((secret.clone(), id))),
                secret_access_key: Some(selector((secret, key))),
                ..S3Credentials::default()
            });
        }
        Credentials::S3Identity => {
            configuration.s3_credentials = Some(S3Credentials {
                inherit_from_iam_role: Some(true),
                ..S3Credentials::default()
            });
        }
        Credentials::Google(secret, key) => {
            configuration.google_credentials = Some(GoogleCredentials {
                application_credentials: Some(selector((secret, key))),
                ..GoogleCredentials::default()
            });
        }
        Credentials::GoogleIdentity => {
            configuration.google_credentials = Some(GoogleCredentials {
                gke_environment: Some(true),
                ..GoogleCredentials::default()
            });
        }
        Credentials::Azure(secret, key) => {
            configuration.azure_credentials = Some(AzureCredentials {
                connection_string: Some(selector((secret, key))),
                ..AzureCredentials::default()
            });
        }
        Credentials::AzureIdentity => {
            configuration.azure_credentials = Some(AzureCredentials {
                inherit_from_azure_ad: Some(true),
                ..AzureCredentials::default()
            });
        }
    }
    configuration
}

fn selector((name, key): (String, String)) -> SecretKeySelector {
    SecretKeySelector {
        name,
        key,
        optional: None,
    }
}

/// The region, for a program that looks for it in its environment.
pub(super) fn region(destination: &Destination) -> Vec<EnvVar> {
    destination
        .region
        .iter()
        .map(|region| EnvVar {
            name: "AWS_DEFAULT_REGION".into(),
            value: Some(region.clone()),
            value_from: None,
        })
        .collect()
}

/// Labels by which the cloud knows pods that use its identity.
pub(super) fn pod_labels(plan: &Plan) -> Option<(String, String)> {
    let backup = plan.backup.as_ref()?;
    (backup.destination.credentials == Credentials::AzureIdentity)
        .then(|| ("azure.workload.identity/use".into(), "true".into()))
}

//! Dumps of a portal's database that are kept for long. A job dumps from a standby, checks the dump, stores it, and leaves a record
//! in its pod's status, so that nobody has to list the object store later.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        batch::v1::{CronJobSpec, JobSpec, JobTemplateSpec},
        core::v1::{
            Container, EmptyDirVolumeSource, EnvVar, EphemeralVolumeSource,
            PersistentVolumeClaimSpec, PersistentVolumeClaimTemplate, PodSecurityContext, PodSpec,
            PodTemplateSpec, Volume, VolumeMount, VolumeResourceRequirements,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use serde_json::json;

use super::{
    Child, Kind, Manifest,
    deployment::placement::tolerations,
    live::{Health, Live},
    object_store,
    pod::{
        authority_mount, authority_volume, container_security, mount, pod_security, pull_secrets,
        resources, secret_file,
    },
};
use crate::plan::{
    Plan,
    backup::{ARCHIVE_COMPONENT, Archive, Backup, Credentials},
    config::{database_authority_path, from_secret},
    database::{DATABASE, Managed, PORT},
};

pub(super) struct CronJobChild;

static KIND: Kind = Kind {
    group: "batch",
    version: "v1",
    kind: "CronJob",
    plural: "cronjobs",
    wave: 2,
    optional: false,
    pruned: true,
};

/// Makes the dump.
const DUMP: &str = include_str!("cron_job/dump.sh");
/// Stores it.
const STORE: &str = include_str!("cron_job/store.py");
/// The user that images of PostgreSQL and of the plugin run as.
const POSTGRES: i64 = 26;
/// Folder of the dump, known to both programs.
const ARCHIVE_FOLDER: &str = "/archive";
/// Folder with what opens the object store, where that is a file.
const STORE_FOLDER: &str = "/etc/portal-store";
const STORE_VOLUME: &str = "store";
/// A dump that takes longer is given up.
const DEADLINE_SECONDS: i64 = 6 * 3600;

impl Child for CronJobChild {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn manifests(&self, plan: &Plan) -> Vec<Manifest> {
        let (Some(managed), Some(backup)) = (plan.database.managed(), &plan.backup) else {
            return Vec::new();
        };
        let Some(archive) = &backup.archive else {
            return Vec::new();
        };
        // A catalog's image is known once a Cluster runs it.
        let Some(image) = &archive.dump_image else {
            return Vec::new();
        };
        let spec = CronJobSpec {
            schedule: archive.schedule.text().to_owned(),
            time_zone: Some("Etc/UTC".into()),
            concurrency_policy: Some("Forbid".into()),
            // One that was missed while the cluster was down is made up for within a day.
            starting_deadline_seconds: Some(86_400),
            successful_jobs_history_limit: Some(1),
            failed_jobs_history_limit: Some(1),
            job_template: job(plan, managed, backup, archive, image),
            suspend: None,
        };
        vec![Manifest::of_database(
            &KIND,
            plan,
            ARCHIVE_COMPONENT,
            archive.name.clone(),
            &json!({"spec": spec}),
        )]
    }

    fn health(&self, live: &Live) -> Health {
        Health::CronJob {
            last_schedule: live.status.last_schedule_time.clone(),
            last_success: live.status.last_successful_time.clone(),
            active: !live.status.active.is_empty(),
        }
    }
}

fn job(
    plan: &Plan,
    managed: &Managed,
    backup: &Backup,
    archive: &Archive,
    image: &str,
) -> JobTemplateSpec {
    let mut labels = plan.identity.selector(Some(ARCHIVE_COMPONENT));
    labels.extend(object_store::pod_labels(plan));
    JobTemplateSpec {
        metadata: None,
        spec: Some(JobSpec {
            backoff_limit: Some(3),
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(plan, managed, backup, archive, image)),
            },
            ..JobSpec::default()
        }),
    }
}

fn pod(plan: &Plan, managed: &Managed, backup: &Backup, archive: &Archive, image: &str) -> PodSpec {
    PodSpec {
        restart_policy: Some("Never".into()),
        // The identity of the database, which the cloud lets into the store. No token for the Kubernetes API.
        service_account_name: Some(managed.name.clone()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: pull_secrets(plan),
        security_context: Some(PodSecurityContext {
            run_as_group: Some(POSTGRES),
            fs_group: Some(POSTGRES),
            ..pod_security(Some(POSTGRES))
        }),
        node_selector: (!managed.node_selector.is_empty()).then(|| managed.node_selector.clone()),
        tolerations: tolerations(&managed.tolerations),
        init_containers: Some(vec![Container {
            name: "dump".into(),
            image: Some(image.to_owned()),
            command: Some(vec!["sh".into(), "-c".into(), DUMP.into()]),
            env: Some(connection(managed)),
            volume_mounts: Some(vec![archive_mount(), tmp_mount(), authority_mount()]),
            ..container()
        }]),
        containers: vec![Container {
            name: "store".into(),
            image: Some(archive.store_image.clone()),
            command: Some(vec!["python3".into(), "-c".into(), STORE.into()]),
            args: Some(arguments(backup, archive)),
            env: Some(opening(backup, archive)),
            volume_mounts: Some(
                [archive_mount(), tmp_mount()]
                    .into_iter()
                    .chain(
                        store_file(backup).map(|_| mount(STORE_VOLUME.into(), STORE_FOLDER, true)),
                    )
                    .collect(),
            ),
            ..container()
        }],
        volumes: Some(volumes(managed, backup)),
        ..PodSpec::default()
    }
}

fn container() -> Container {
    Container {
        security_context: Some(container_security()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        resources: Some(resources("100m", "128Mi", "512Mi")),
        ..Container::default()
    }
}

/// How the dump is read: from a standby where there is one, so that the primary has nothing to do with it.
fn connection(managed: &Managed) -> Vec<EnvVar> {
    let service = if managed.instances > 1 { "ro" } else { "rw" };
    let secret = &managed.connection.secret;
    vec![
        value("PGHOST", &format!("{}-{service}", managed.name)),
        value("PGPORT", &PORT.to_string()),
        value("PGDATABASE", DATABASE),
        value("PGSSLMODE", managed.connection.ssl_mode),
        value("PGSSLROOTCERT", &database_authority_path()),
        from_secret("PGUSER", secret, "username"),
        from_secret("PGPASSWORD", secret, "password"),
    ]
}

/// What the program that stores is told, as Barman's programs are.
fn arguments(backup: &Backup, archive: &Archive) -> Vec<String> {
    let destination = &backup.destination;
    let provider = match destination.credentials {
        Credentials::S3 { .. } | Credentials::S3Identity => "aws-s3",
        Credentials::Google(..) | Credentials::GoogleIdentity => "google-cloud-storage",
        Credentials::Azure(..) | Credentials::AzureIdentity => "azure-blob-storage",
    };
    let mut arguments = vec!["--cloud-provider".to_owned(), provider.to_owned()];
    if let Some(endpoint) = &destination.endpoint {
        arguments.extend(["--endpoint-url".to_owned(), endpoint.clone()]);
    }
    if destination.credentials == Credentials::AzureIdentity {
        arguments.extend(["--azure-credential".to_owned(), "default".to_owned()]);
    }
    arguments.extend([archive.path.clone(), backup.server_name.clone()]);
    arguments
}

/// What opens the store, and what is kept in it.
fn opening(backup: &Backup, archive: &Archive) -> Vec<EnvVar> {
    let destination = &backup.destination;
    let mut env = vec![
        value("HOME", "/tmp"),
        value("KEEP", &archive.keep.to_string()),
        value("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    env.extend(object_store::region(destination));
    match &destination.credentials {
        Credentials::S3 { secret, id, key } => {
            env.push(from_secret("AWS_ACCESS_KEY_ID", secret, id));
            env.push(from_secret("AWS_SECRET_ACCESS_KEY", secret, key));
        }
        Credentials::Azure(secret, key) => {
            env.push(from_secret("AZURE_STORAGE_CONNECTION_STRING", secret, key));
        }
        Credentials::Google(..) => {
            env.push(value(
                "GOOGLE_APPLICATION_CREDENTIALS",
                &format!("{STORE_FOLDER}/credentials.json"),
            ));
        }
        Credentials::S3Identity | Credentials::GoogleIdentity | Credentials::AzureIdentity => {}
    }
    if destination.authority.is_some() {
        env.push(value("AWS_CA_BUNDLE", &format!("{STORE_FOLDER}/ca.crt")));
    }
    env
}

/// What opens the store as a file: Google's credentials, or the certificate of the authority of an S3-compatible store.
fn store_file(backup: &Backup) -> Option<Volume> {
    let destination = &backup.destination;
    match (&destination.credentials, &destination.authority) {
        (Credentials::Google(secret, key), _) => Some(secret_file(
            STORE_VOLUME,
            secret.clone(),
            key.clone(),
            "credentials.json",
        )),
        (_, Some((secret, key))) => Some(secret_file(
            STORE_VOLUME,
            secret.clone(),
            key.clone(),
            "ca.crt",
        )),
        _ => None,
    }
}

fn volumes(managed: &Managed, backup: &Backup) -> Vec<Volume> {
    let mut volumes = vec![
        Volume {
            name: "archive".into(),
            // A volume of its own: a large dump would otherwise fill the disk of a node.
            ephemeral: Some(EphemeralVolumeSource {
                volume_claim_template: Some(PersistentVolumeClaimTemplate {
                    metadata: None,
                    spec: PersistentVolumeClaimSpec {
                        access_modes: Some(vec!["ReadWriteOnce".into()]),
                        storage_class_name: managed.storage_class.clone(),
                        resources: Some(VolumeResourceRequirements {
                            limits: None,
                            requests: Some(BTreeMap::from([(
                                "storage".to_owned(),
                                Quantity(managed.data_volume().0.clone()),
                            )])),
                        }),
                        ..PersistentVolumeClaimSpec::default()
                    },
                }),
            }),
            ..Volume::default()
        },
        Volume {
            name: "tmp".into(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ];
    volumes.extend(managed.connection.authority.clone().map(authority_volume));
    volumes.extend(store_file(backup));
    volumes
}

fn archive_mount() -> VolumeMount {
    mount("archive".into(), ARCHIVE_FOLDER, false)
}

fn tmp_mount() -> VolumeMount {
    mount("tmp".into(), "/tmp", false)
}

fn value(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: Some(value.into()),
        value_from: None,
    }
}

//! The backups of a managed database: where they go, how often they are made, and what they are to achieve.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Serialize;

use super::{
    Facts, Identity, Schedule, SpecProblem,
    database::{self, Image},
    profile, recovery_objective,
};
use crate::{
    api::{
        backup::{self, ArchiveMode},
        spec::{PortalPlatformSpec, Profile},
    },
    digest::digest,
    foreign::barman::SIDECAR_IMAGE,
};

/// Value of the component label on the pods that make dumps.
pub const ARCHIVE_COMPONENT: &str = "db-archive";
const DEFAULT_SCHEDULE: &str = "0 2 * * *";
const DEFAULT_ARCHIVE_SCHEDULE: &str = "0 3 1 * *";
const DEFAULT_KEEP: i32 = 12;
/// How often the plugin looks at what is in the object store within one recovery point objective: only so is a store that
/// somebody emptied noticed.
const LOOKS: u32 = 6;
const LOOK_OFTEN: Duration = Duration::from_secs(60);
const LOOK_SELDOM: Duration = Duration::from_secs(1800);

/// What the backups of a database are to achieve, and how.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backup {
    /// Name of the ObjectStore, the `ScheduledBackup` and the Cluster.
    pub name: String,
    /// Folder of this life of the database in the object store.
    #[serde(skip)]
    pub server_name: String,
    /// Where backups go.
    pub destination: Destination,
    /// When base backups are made.
    pub schedule: Schedule,
    /// For how long every point in time can be restored, such as `30d`.
    pub retention: String,
    /// How often the plugin looks at what is in the object store, in seconds.
    pub look_seconds: u64,
    /// Dumps that are kept for long.
    pub archive: Option<Archive>,
    /// `false`: the plugin is not installed, and the Cluster does not use it yet.
    #[serde(skip)]
    pub attached: bool,
    /// `false`: an instance cannot make base backups yet, and the first one would fail.
    #[serde(skip)]
    pub possible: bool,
}

/// A folder of an object store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Destination {
    /// Bucket and folder.
    pub path: String,
    /// Address of an S3-compatible store.
    pub endpoint: Option<String>,
    /// Port of the store.
    pub port: u16,
    /// Region of an S3 bucket.
    pub region: Option<String>,
    /// What opens it.
    pub credentials: Credentials,
    /// Secret and key with the certificate of the authority of `endpoint`.
    pub authority: Option<(String, String)>,
    /// Annotations of the ServiceAccount.
    pub service_account_annotations: BTreeMap<String, String>,
}

/// What opens an object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Credentials {
    /// Access key and secret key.
    S3 {
        /// Secret.
        secret: String,
        /// Key with the access key.
        id: String,
        /// Key with the secret access key.
        key: String,
    },
    /// The role of the pod.
    S3Identity,
    /// JSON of a service account: Secret and key.
    Google(String, String),
    /// The identity of the pod.
    GoogleIdentity,
    /// Connection string: Secret and key.
    Azure(String, String),
    /// The identity of the pod.
    AzureIdentity,
}

impl Credentials {
    /// Whether the identity of the pod is used.
    #[must_use]
    pub const fn of_pod(&self) -> bool {
        matches!(
            self,
            Self::S3Identity | Self::GoogleIdentity | Self::AzureIdentity
        )
    }
}

/// Dumps that are kept for long.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Archive {
    /// Name of the CronJob.
    pub name: String,
    /// When a dump is made.
    pub schedule: Schedule,
    /// Number of dumps that are kept.
    pub keep: i32,
    /// Bucket and folder, without that of the database.
    pub path: String,
    /// Image of PostgreSQL, which makes the dump; `None`: not known yet, since a catalog names it.
    #[serde(skip)]
    pub dump_image: Option<String>,
    /// Image that stores the dump.
    pub store_image: String,
}

/// Whether dumps are kept for long.
pub(super) fn wants_dumps(spec: &PortalPlatformSpec, profile: Profile) -> bool {
    spec.backup.as_ref().is_some_and(|own| {
        own.destination.is_some() && archive_mode(own, profile) == ArchiveMode::Dump
    })
}

fn archive_mode(own: &backup::Backup, profile: Profile) -> ArchiveMode {
    match &own.archive {
        Some(archive) => archive.mode.unwrap_or(ArchiveMode::Dump),
        None => profile::defaults(profile).backup.archive,
    }
}

pub(super) fn plan(
    spec: &PortalPlatformSpec,
    profile: Profile,
    identity: &Identity,
    image: Option<&Image>,
    facts: &Facts,
    problems: &mut Vec<SpecProblem>,
) -> Option<Backup> {
    let own = spec.backup.as_ref()?;
    let image = image?;
    recovery_objective::check_archive_timeout(spec, problems);
    let destination = own.destination.as_ref()?;
    let defaults = profile::defaults(profile).backup;
    let name = identity.database_name();
    let live = &facts.database;
    let schedule = schedule(
        "schedule",
        own.schedule.as_deref().unwrap_or(DEFAULT_SCHEDULE),
        problems,
    )?;
    let archive = own.archive.clone().unwrap_or_default();
    Some(Backup {
        archive: match archive_mode(own, profile) {
            ArchiveMode::None => None,
            ArchiveMode::Dump => {
                self::archive(&archive, destination, &name, image, facts, problems)
            }
        },
        server_name: live
            .server_name
            .clone()
            .unwrap_or_else(|| folder(&name, &identity.uid, &live.used_folders)),
        destination: self::destination(destination),
        look_seconds: (recovery_objective::of(spec) / LOOKS)
            .clamp(LOOK_OFTEN, LOOK_SELDOM)
            .as_secs(),
        retention: own
            .retention
            .clone()
            .unwrap_or_else(|| defaults.retention.to_owned()),
        possible: live.can_back_up,
        attached: facts.barman_plugin || live.server_name.is_some(),
        schedule,
        name,
    })
}

/// A folder that has held no base backup. That of a former life is refused, and after a time without backups the log would have a gap
/// that nobody sees: the base backups before it would seem to reach until now.
fn folder(cluster: &str, uid: &str, used: &BTreeSet<String>) -> String {
    let first = std::iter::once(digest(&uid));
    let later = (1..=used.len()).map(|count| digest(&(uid, count)));
    first
        .chain(later)
        .map(|digest| format!("{cluster}-{}", &digest[..8]))
        .find(|folder| !used.contains(folder))
        .unwrap_or_else(|| cluster.to_owned())
}

fn schedule(field: &str, text: &str, problems: &mut Vec<SpecProblem>) -> Option<Schedule> {
    Schedule::parse(text)
        .map_err(|error| {
            problems.push(SpecProblem {
                field: format!("spec.backup.{field}"),
                message: format!("{text:?} is no schedule: {error}; write it as 0 2 * * *"),
            });
        })
        .ok()
}

fn destination(own: &backup::Destination) -> Destination {
    let key = |default: &str| {
        own.credentials_secret_ref.as_ref().map(|secret| {
            let key = secret.key.clone().unwrap_or_else(|| default.to_owned());
            (secret.name.clone(), key)
        })
    };
    let credentials = if own.path.starts_with("gs://") {
        key("credentials.json").map_or(Credentials::GoogleIdentity, |(secret, key)| {
            Credentials::Google(secret, key)
        })
    } else if own.path.starts_with("https://") {
        key("connectionString").map_or(Credentials::AzureIdentity, |(secret, key)| {
            Credentials::Azure(secret, key)
        })
    } else {
        own.credentials_secret_ref
            .clone()
            .map_or(Credentials::S3Identity, |secret| Credentials::S3 {
                secret: secret.name,
                id: secret
                    .access_key_id_key
                    .unwrap_or_else(|| "ACCESS_KEY_ID".into()),
                key: secret
                    .secret_access_key_key
                    .unwrap_or_else(|| "ACCESS_SECRET_KEY".into()),
            })
    };
    Destination {
        path: own.path.clone(),
        port: own.endpoint.as_deref().map_or(443, port),
        endpoint: own.endpoint.clone(),
        region: own.region.clone(),
        credentials,
        authority: own.ca_secret_ref.clone().map(database::authority),
        service_account_annotations: own
            .workload_identity
            .clone()
            .unwrap_or_default()
            .service_account_annotations,
    }
}

/// Port of an address such as `https://store.example.com:9000`.
fn port(endpoint: &str) -> u16 {
    let default = if endpoint.starts_with("http://") {
        80
    } else {
        443
    };
    endpoint
        .trim_end_matches('/')
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .unwrap_or(default)
}

fn archive(
    own: &backup::Archive,
    destination: &backup::Destination,
    name: &str,
    image: &Image,
    facts: &Facts,
    problems: &mut Vec<SpecProblem>,
) -> Option<Archive> {
    let schedule = schedule(
        "archive.schedule",
        own.schedule.as_deref().unwrap_or(DEFAULT_ARCHIVE_SCHEDULE),
        problems,
    )?;
    Some(Archive {
        name: format!("{name}-archive"),
        schedule,
        keep: own.keep.unwrap_or(DEFAULT_KEEP),
        path: own
            .path
            .clone()
            .unwrap_or_else(|| format!("{}/archive", destination.path.trim_end_matches('/'))),
        dump_image: match image {
            Image::Name(name) => Some(name.clone()),
            Image::Catalog { .. } => facts.database.image.clone(),
        },
        store_image: own
            .image_name
            .clone()
            .unwrap_or_else(|| SIDECAR_IMAGE.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_an_endpoint_follows_from_its_scheme_unless_it_is_named() {
        for (endpoint, expected) in [
            ("https://store.example.com", 443),
            ("http://store", 80),
            ("http://store:9000/", 9000),
            ("https://[fd00::1]:9443", 9443),
        ] {
            assert_eq!(port(endpoint), expected, "{endpoint}");
        }
    }
}

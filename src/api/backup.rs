//! `spec.backup`: where backups of the database go and for how long they are kept. The documentation of each field is what
//! `kubectl explain` prints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{database::CaSecretRef, values::DurationText};

/// Backups of a managed database: continuous archiving of its write-ahead log, base backups on a schedule, and dumps that are
/// kept for long. They are made by CloudNativePG and its Barman Cloud plugin, which must be installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Where backups go. Without it there are none, and the policies about them do not hold. Removing it stops new backups;
    /// those that exist, and the ObjectStore through which they are restored, stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,

    /// When base backups are made, as five fields of numbers (minute, hour, day of month, month, day of week 0-6) in UTC. The
    /// first one is made at once. Default: `0 2 * * *`, each day at two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        regex(pattern = r"^[0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-6*/,-]+$")
    )]
    pub schedule: Option<String>,

    /// For how long every point in time can be restored, in days, weeks or months: `30d`, `4w`, `12m`. Older base backups and
    /// their log are deleted by the plugin. Default, by profile: Production `30d`, else `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5), regex(pattern = r"^[1-9][0-9]{0,3}[dwm]$"))]
    pub retention: Option<String>,

    /// Dumps that are kept for long, beside the base backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,

    /// What the backups are to achieve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Objectives>,
}

/// A folder of an object store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// Bucket and folder: `s3://bucket/folder`, `gs://bucket/folder`, or
    /// `https://account.blob.core.windows.net/container/folder`. Several portals may share it: each life of a database has a
    /// folder of its own in it.
    #[schemars(
        length(min = 6, max = 500),
        regex(
            pattern = r"^((s3|gs)://[^/\s]+|https://[^/\s]+\.blob\.core\.windows\.net/[^/\s]+)(/[^/\s]+)*/?$"
        )
    )]
    pub path: String,

    /// Address of an S3-compatible store that is not Amazon's, such as `https://minio.example.com:9000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.\[\]:-]+/?$")
    )]
    pub endpoint: Option<String>,

    /// Region of an S3 bucket. Default: what the store finds out by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 50), regex(pattern = r"^[a-z0-9-]+$"))]
    pub region: Option<String>,

    /// Secret with the credentials. Instead of `workloadIdentity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<CredentialsRef>,

    /// The identity that the cloud gives to pods, instead of a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,

    /// Secret with the certificate of the authority that signed that of `endpoint`. Default: the public authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
}

/// A Secret with the credentials of an object store, in the namespace of the portal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// S3: key with the access key. Default: `ACCESS_KEY_ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub access_key_id_key: Option<String>,

    /// S3: key with the secret access key. Default: `ACCESS_SECRET_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_access_key_key: Option<String>,

    /// Google: key with the JSON of the service account, default `credentials.json`. Azure: key with the connection string,
    /// default `connectionString`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

/// The identity that the cloud gives to pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Annotations of the ServiceAccount `<portal>-db`, such as `eks.amazonaws.com/role-arn`,
    /// `iam.gke.io/gcp-service-account` or `azure.workload.identity/client-id`. Without them the identity of the node or of a
    /// pod identity association is used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 2048}))]
    pub service_account_annotations: BTreeMap<String, String>,
}

/// Dumps by `pg_dump`, each checked by `pg_restore` and with a checksum: they outlive base backups, and any PostgreSQL of the same
/// or a newer version reads them. They are made by the CronJob `<portal>-db-archive`, from a standby where there is one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// `Dump`: dumps are made. `None`: none are. Default: `Dump` where `archive` is written or the profile is Production.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ArchiveMode>,

    /// When a dump is made, as five fields of numbers in UTC. Default: `0 3 1 * *`, on the first of each month at three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 100),
        regex(pattern = r"^[0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-9*/,-]+ [0-6*/,-]+$")
    )]
    pub schedule: Option<String>,

    /// Number of dumps that are kept; older ones of the same database are deleted. Default: 12.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 120))]
    pub keep: Option<i32>,

    /// Bucket and folder of the dumps, in the same store as `destination`. Default: the folder `archive` of
    /// `destination.path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 6, max = 500),
        regex(
            pattern = r"^((s3|gs)://[^/\s]+|https://[^/\s]+\.blob\.core\.windows\.net/[^/\s]+)(/[^/\s]+)*/?$"
        )
    )]
    pub path: Option<String>,

    /// Image with Python and Barman's cloud programs, which stores the dump. The dump itself is made with the image of the
    /// database. Default: the image that the plugin runs beside PostgreSQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+$"))]
    pub image_name: Option<String>,
}

/// Whether dumps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ArchiveMode {
    Dump,
    // Not `Off`, as for `SpreadMode`.
    None,
}

/// What the backups are to achieve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// Recovery point objective: how much of the latest work may be lost with the whole database, from `1m` to `168h`. The
    /// write-ahead log is archived at least each half of it (and each five minutes). Default: `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo: Option<DurationText>,
}

//! `PortalPlatform.status`: what the operator reports, and with which evidence.
// Over 400 lines: this is what users read, from top to bottom in the order of the YAML.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::Profile;

/// What the operator last observed. Nothing here is `True` without a reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortalPlatformStatus {
    /// Generation of the spec that this status is about; -1 before the first reconcile.
    #[serde(default)]
    pub observed_generation: i64,

    /// Address of the portal, if it is exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// Pods ready and pods wanted, over all components, such as `3/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<String>,

    /// Policies that hold and policies that were judged, such as `7/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies_held: Option<String>,

    /// What the spec was resolved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,

    /// Digest over every object as it was last applied. Used by the operator to tell after a restart that nothing
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,

    /// State of the portal. `Ready`: it serves traffic as the spec says. `Reconciling`, `Stalled`: present only while work is
    /// under way, or cannot go on without you. `Available`: every critical component has its least number of pods.
    /// `DatabaseReady`: the database is as the spec says. `Exposed`: the route is accepted. `PolicyCompliant`: every required policy holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// The policies of the profile, each with its verdict and the evidence for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<PolicyStatus>,

    /// The components and their pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<ComponentStatus>,

    /// The managed database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseStatus>,

    /// Objects of others that have the name of an object this portal needs. They are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub conflicts: Vec<Conflict>,

    /// Optional APIs of the cluster, as this portal sees them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrations: Option<Integrations>,
}

/// What the spec was resolved to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Profile in force.
    pub profile: Profile,

    /// Digest of everything the spec was resolved to, defaults included. It changes when the spec or the operator's
    /// defaults do.
    pub revision: String,
}

/// One aspect of the portal's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    pub type_: ConditionType,

    /// `True`, `False` or `Unknown`.
    pub status: Verdict,

    /// Generation of the spec that the condition is about.
    pub observed_generation: i64,

    /// When `status` last changed.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,

    /// The cause in one word, stable enough for scripts.
    pub reason: String,

    /// The object concerned, the cause and the next step.
    pub message: String,
}

/// Aspects of the state.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(
    missing_docs,
    reason = "described at the field `conditions`; variant docs would turn the schema into oneOf"
)]
pub enum ConditionType {
    Ready,
    Reconciling,
    Stalled,
    Available,
    DatabaseReady,
    Exposed,
    PolicyCompliant,
}

/// A verdict. `Unknown` means that the source of the reading is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Verdict {
    True,
    False,
    Unknown,
}

impl Verdict {
    /// The word as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// One policy, its verdict and the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Name of the policy.
    pub name: PolicyName,

    /// `Required`: counts in the condition `PolicyCompliant`. `Advisory`: shown only. `Waived`: excepted by `spec.policies`.
    pub enforcement: Enforcement,

    /// Whether it holds.
    pub status: Verdict,

    /// What it asks for.
    pub objective: String,

    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,

    /// The cause in one word.
    pub reason: String,

    /// The object concerned and the next step, where the policy does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Where the reading comes from, and since when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Names of the policies.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(
    missing_docs,
    reason = "each is described in its file under assess/policies"
)]
pub enum PolicyName {
    Replicated,
    ZoneRedundant,
    DisruptionProtected,
    Autoscaling,
    NetworkRestricted,
    TransportSecure,
    PodSecurity,
    RecoveryPoint,
    BackupFresh,
    BackupRetained,
    ArchiveRetained,
    ImagePinned,
    ConnectionBudget,
}

impl PolicyName {
    /// The name as the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replicated => "Replicated",
            Self::ZoneRedundant => "ZoneRedundant",
            Self::DisruptionProtected => "DisruptionProtected",
            Self::Autoscaling => "Autoscaling",
            Self::NetworkRestricted => "NetworkRestricted",
            Self::TransportSecure => "TransportSecure",
            Self::PodSecurity => "PodSecurity",
            Self::RecoveryPoint => "RecoveryPoint",
            Self::BackupFresh => "BackupFresh",
            Self::BackupRetained => "BackupRetained",
            Self::ArchiveRetained => "ArchiveRetained",
            Self::ImagePinned => "ImagePinned",
            Self::ConnectionBudget => "ConnectionBudget",
        }
    }
}

/// Whether a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum Enforcement {
    Required,
    Advisory,
    Waived,
}

/// Where a reading comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The objects or fields that were read.
    pub source: String,

    /// When the verdict was first reached.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
}

/// One component and its pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Name of the component.
    pub name: String,

    /// Image that the spec asks for.
    pub image: String,

    /// Pods wanted now.
    pub desired: i32,

    /// Pods ready.
    pub ready: i32,

    /// Pods that run the wanted version.
    pub updated: i32,

    /// Ready pods by zone; absent where zones cannot be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub zones: BTreeMap<String, i32>,

    /// `true` once a pod of this component has been ready for the first time. Until then preset `Backstage` runs one pod
    /// only, since two first starts at once can damage its database.
    #[serde(default)]
    pub started: bool,
}

/// The managed database, as CloudNativePG reports it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// What CloudNativePG is doing, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// Instance that takes writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,

    /// Instances wanted.
    pub instances: i32,

    /// Instances ready.
    pub ready: i32,

    /// First point in time that can be restored, as the plugin last reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub recoverable_from: Option<String>,

    /// When the last base backup ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_backup: Option<String>,

    /// When the last base backup failed, if none succeeded since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_failed_backup: Option<String>,

    /// What is known of the archived write-ahead log. Used by the operator after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<ArchivedLog>,

    /// The dumps that are kept, as the last job that made one reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dumps: Option<Dumps>,
}

/// What is known of the archived write-ahead log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedLog {
    /// Name of the folder of this database in the object store. Another life of the database has another one.
    pub server_name: String,

    /// A moment until which everything was known to be in the archive when this status was last written. The policy
    /// `RecoveryPoint` tells how far behind it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub until: Option<String>,

    /// The newest timeline of PostgreSQL that is known to follow in the archive without a gap. A failover begins a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
}

/// The dumps that are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dumps {
    /// How many there are.
    pub count: i32,

    /// When the oldest was made.
    #[schemars(extend("format" = "date-time"))]
    pub oldest: String,

    /// When the newest was made.
    #[schemars(extend("format" = "date-time"))]
    pub newest: String,

    /// Size of the newest in bytes.
    pub newest_bytes: i64,
}

/// A foreign object in the way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// Kind of the object.
    pub kind: String,

    /// Name of the object.
    pub name: String,

    /// Who manages it, as far as the object says.
    pub manager: String,
}

/// Optional APIs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Integrations {
    /// Gateway API (`HTTPRoute`).
    #[serde(rename = "gatewayAPI")]
    pub gateway_api: Presence,

    /// CloudNativePG (`Cluster`, `Pooler`).
    #[serde(rename = "cloudnativePG", default = "absent")]
    pub cloudnative_pg: Presence,

    /// The Barman Cloud plugin of CloudNativePG (`ObjectStore`).
    #[serde(default = "absent")]
    pub barman_plugin: Presence,

    /// cert-manager (`Certificate`).
    pub cert_manager: Presence,
}

/// For a status that an older release wrote.
const fn absent() -> Presence {
    Presence::Absent
}

/// Whether an optional API is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Presence {
    Present,
    Absent,
}

impl From<bool> for Presence {
    fn from(value: bool) -> Self {
        if value { Self::Present } else { Self::Absent }
    }
}

//! `PortalPlatform.spec`. The documentation of each field is what `kubectl explain` prints.
// Over 400 lines: this is the user's manual, read from top to bottom in the order of the YAML.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    backup::Backup,
    database::Database,
    status::PortalPlatformStatus,
    values::{DurationText, Quantity},
};

/// A developer portal: its components, how they are exposed, and the availability, scaling, network and security
/// policies it runs under.
///
/// Write either `image` (one component named `app`) or `components`. Everything else has a default that follows from
/// `profile`, `preset` and `size`. Defaults are resolved by the operator and never written into the object;
/// `portal-operator render -f FILE` shows every object that results.
#[allow(
    clippy::duplicated_attributes,
    reason = "each printer column has a type"
)]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "portalplatform.dev",
    version = "v1alpha1",
    kind = "PortalPlatform",
    plural = "portalplatforms",
    singular = "portalplatform",
    shortname = "portal",
    category = "all",
    namespaced,
    status = "PortalPlatformStatus",
    derive = "PartialEq",
    doc = "A developer portal (Backstage, or any front end and API) and the policies it runs under. Status shows, with evidence, which of them hold right now.",
    printcolumn(
        name = "Profile",
        type_ = "string",
        json_path = ".status.effective.profile",
        description = "The profile in force"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether the portal serves traffic as its spec says"
    ),
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.available",
        description = "Pods ready / pods wanted, over all components"
    ),
    printcolumn(
        name = "RPO",
        type_ = "string",
        json_path = ".status.policies[?(@.name==\"RecoveryPoint\")].observed",
        description = "How much of the latest work would be lost with the whole database"
    ),
    printcolumn(
        name = "Policies",
        type_ = "string",
        json_path = ".status.policiesHeld",
        description = "Policies that hold / policies that apply"
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PortalPlatformSpec {
    /// Which set of defaults applies: `Production` (3 to 10 replicas spread over zones and nodes, disruption budget,
    /// restricted network), `Staging` (2 to 4, spread preferred), `Development` (one replica, open network) or
    /// `Ephemeral` (one replica, restricted network; for previews). Default: `Production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,

    /// What kind of program the components are; sets the defaults of port, probes, environment and shutdown.
    /// `Backstage`: port 7007, Backstage's health endpoints, its environment, and one single pod until the first start
    /// is over. `Generic`: port 8000, health at `/health`. Default: `Generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,

    /// Resources of a component that has no `resources` of its own: `Small` (requests 250m and 512Mi, limit 1Gi),
    /// `Medium` (500m and 1Gi, limit 2Gi) or `Large` (1 and 2Gi, limit 4Gi). CPU is never limited, since a limit only
    /// throttles; memory always is. Default: `Medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,

    /// Image of the only component, which is then named `app` and exposed at `/` if `host` is set. Instead of
    /// `components`. Prefer a digest (`name@sha256:…`): the policy `ImagePinned` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+$"))]
    pub image: Option<String>,

    /// Host name under which the portal is reached, such as `portal.example.com`. Needed as soon as a component is
    /// exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub host: Option<String>,

    /// `true`: observe and report, but create, change and delete nothing. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// Secrets of type `kubernetes.io/dockerconfigjson` in the same namespace, used to pull every image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<LocalRef>,

    /// The programs of the portal, each a Deployment with a Service. Instead of `image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub components: Vec<Component>,

    /// Configuration files of all components.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,

    /// The PostgreSQL database that the components connect to. Without it, one is made by CloudNativePG as the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,

    /// Where backups of the database go, and what they are to achieve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,

    /// How the portal is reached from outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,

    /// Which network traffic is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,

    /// Identity of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,

    /// Exceptions from policies, each with a reason and an end. A waived policy is still measured and shown, but does
    /// not count in the condition `PolicyCompliant`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<PolicyException>,
}

/// A set of defaults for one kind of environment.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[allow(
    missing_docs,
    reason = "described where the field is; variant docs would turn the schema into oneOf"
)]
pub enum Profile {
    Development,
    Staging,
    #[default]
    Production,
    Ephemeral,
}

/// The kind of program that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum Preset {
    Backstage,
    #[default]
    Generic,
}

/// A set of resource requests and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum Size {
    Small,
    #[default]
    Medium,
    Large,
}

/// Whether a component uses the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum DatabaseUse {
    #[default]
    Connect,
    None,
}

/// A reference to an object in the namespace of the portal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// Name of the object, in the namespace of the portal.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One program of the portal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Component {
    /// Name of the component, unique in the portal: a DNS label of at most 20 characters that begins with a letter.
    /// The Deployment and the Service are called `<portal>-<component>`, and the other components find it at the variable
    /// `<COMPONENT>_URL`. `config`, `db`, `portal` and names that begin with `db-` or `app-config` are reserved.
    #[schemars(
        length(min = 1, max = 20),
        regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// Container image. Prefer a digest (`name@sha256:…`).
    #[schemars(length(min = 1, max = 500), regex(pattern = r"^\S+$"))]
    pub image: String,

    /// Port on which the program serves HTTP. Default: 7007 for preset `Backstage`, 8000 for `Generic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,

    /// Path prefix under `host` that leads to this component, such as `/` or `/api`. Without it the component is
    /// reachable inside the cluster only. The prefix is not stripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 200),
        regex(pattern = r"^/([-A-Za-z0-9._~/]*[-A-Za-z0-9._~])?$")
    )]
    pub path: Option<String>,

    /// Whether the portal is down when this component is. Critical components count in the policies `Replicated` and
    /// `ZoneRedundant`, keep at least two replicas in profile `Production`, and never run on spot nodes.
    /// Default: `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,

    /// `Connect`: the component gets the address and the credentials of the database. `None`: it gets neither, and network
    /// rules keep it away; for front ends. Default: `Connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseUse>,

    /// Replaces the entrypoint of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub command: Vec<String>,

    /// Replaces the arguments of the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 4096)))]
    pub args: Vec<String>,

    /// Environment variables. An entry replaces the preset's variable of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,

    /// Secrets and ConfigMaps whose keys become environment variables. Later sources win over earlier ones and over the
    /// preset's variables; `env` wins over all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub env_from: Vec<EnvFrom>,

    /// Requests and limits instead of those of `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,

    /// How many replicas run. Default, by profile: Production 3 to 10, Staging 2 to 4, both autoscaled at 70 % CPU and
    /// 80 % memory; Development and Ephemeral 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,

    /// Where the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// Health checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,

    /// The component holds WebSocket connections: its requests get no time limit at the gateway, and sessions can be
    /// kept on one pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_socket: Option<WebSocket>,
}

/// One environment variable: `value`, or one source in `valueFrom`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[A-Za-z_][-A-Za-z0-9_.]*$")
    )]
    pub name: String,

    /// Literal value. Never put a secret here: use `valueFrom.secretKeyRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32768))]
    pub value: Option<String>,

    /// Where the value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Source of an environment variable: exactly one field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvSource {
    /// A key of a Secret in the namespace of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,

    /// A key of a ConfigMap in the namespace of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,

    /// A field of the pod, such as `metadata.name` or `status.podIP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A key of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,

    /// `true`: the pod starts without the variable if the object or the key is missing. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A field of the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// Path of the field.
    #[schemars(length(min = 1, max = 200))]
    pub field_path: String,
}

/// A source of environment variables: exactly one of `secretRef` and `configMapRef`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    /// A Secret in the namespace of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,

    /// A ConfigMap in the namespace of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalRef>,

    /// Put before each key. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub prefix: Option<String>,
}

/// Resources of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What the scheduler reserves, and what the HPA's percentages refer to. A missing value is taken from `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceList>,

    /// Upper bounds. `memory` is taken from `size` if missing; `cpu` stays unlimited if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceList>,
}

/// An amount of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceList {
    /// Cores, such as `250m` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,

    /// Bytes, such as `512Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
}

/// Number of replicas.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scaling {
    /// Who sets the number of replicas. `Auto`: a HorizontalPodAutoscaler between `minReplicas` and `maxReplicas`, or
    /// a fixed number where both are equal. `Manual`: the operator starts `minReplicas` and then leaves the number to
    /// whoever scales the Deployment; switching between the two never lowers the number. Default: `Auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ScalingMode>,

    /// Least number of replicas. Default: by profile, and never above `maxReplicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: Option<i32>,

    /// Greatest number of replicas. Default: by profile, and never below `minReplicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: Option<i32>,

    /// CPU target, in percent of the request. Default: 70.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<UtilizationTarget>,

    /// Memory target, in percent of the request. Default: 80.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<UtilizationTarget>,

    /// How fast the autoscaler moves. Default: that of Kubernetes (up at once, down after five minutes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<ScalingBehavior>,
}

/// Who sets the number of replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ScalingMode {
    #[default]
    Auto,
    Manual,
}

/// Average utilization that the autoscaler aims at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UtilizationTarget {
    /// Percent of the request, averaged over the pods.
    #[schemars(range(min = 1, max = 100))]
    pub average_utilization: i32,
}

/// Speed of the autoscaler in each direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingBehavior {
    /// Rules for adding replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<ScalingRules>,

    /// Rules for removing replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<ScalingRules>,
}

/// Rules of one direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingRules {
    /// How long past recommendations are considered, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub stabilization_window_seconds: Option<i32>,

    /// Which policy wins: `Max`, `Min`, or `Disabled` to forbid the direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,

    /// Limits on the change within a period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub policies: Vec<ScalingPolicy>,
}

/// Which scaling policy wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum SelectPolicy {
    Max,
    Min,
    Disabled,
}

/// A limit on the change of the number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScalingPolicy {
    /// Unit of `value`: `Pods` or `Percent`.
    #[serde(rename = "type")]
    pub type_: ScalingPolicyType,

    /// Greatest change within the period.
    #[schemars(range(min = 1, max = 1000))]
    pub value: i32,

    /// Length of the period in seconds.
    #[schemars(range(min = 1, max = 1800))]
    pub period_seconds: i32,
}

/// Unit of a scaling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ScalingPolicyType {
    Pods,
    Percent,
}

/// Where pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// Distribution over zones and nodes. Default, by profile: Production `Required`, Staging `Preferred`, else `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,

    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,

    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub tolerations: Vec<Toleration>,

    /// PriorityClass of the pods. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,

    /// `OnDemand`, or `Spot` to prefer interruptible nodes (those labelled `karpenter.sh/capacity-type: spot`, whose
    /// taint of the same key is tolerated); not for critical components. Default: `OnDemand`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
}

/// Distribution of a component's pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Over zones, with a skew of at most one: `Required`, `Preferred` or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<SpreadMode>,

    /// Over nodes, no two pods of one version on the same: `Required`, `Preferred` or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<SpreadMode>,
}

/// How strictly pods are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum SpreadMode {
    Required,
    Preferred,
    // Not `Off`: YAML as Kubernetes reads it takes a bare Off for the boolean false.
    None,
}

/// Kind of node capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum Capacity {
    #[default]
    OnDemand,
    Spot,
}

/// A toleration of node taints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; every key if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 316))]
    pub key: Option<String>,

    /// `Equal` or `Exists`. Default: `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<TolerationOperator>,

    /// Value of the taint, for `Equal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,

    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; every effect if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<TaintEffect>,

    /// How long a `NoExecute` taint is tolerated; for ever if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub toleration_seconds: Option<i64>,
}

/// How a toleration compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum TolerationOperator {
    Equal,
    Exists,
}

/// Effect of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum TaintEffect {
    NoSchedule,
    PreferNoSchedule,
    NoExecute,
}

/// Health checks over HTTP on the component's port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probes {
    /// Restarts the container after 30 s of failures. Default path: by preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<HttpProbe>,

    /// Takes the pod out of the Service while it fails. Default path: by preset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<HttpProbe>,

    /// How long a start may take before the container is restarted. It asks the readiness path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupProbe>,
}

/// An HTTP check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpProbe {
    /// Path that answers 200 to 399 when all is well.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^/\S*$"))]
    pub path: String,
}

/// Patience with a starting program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartupProbe {
    /// Longest start, from 10s to 2h. Default: 15m for preset `Backstage`, whose first start migrates its database, and
    /// 5m for `Generic`.
    pub timeout: DurationText,
}

/// WebSocket connections of a component.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebSocket {
    /// What keeps a client on one pod. `Cookie`: session persistence of the HTTPRoute; needs exposure by a Gateway and
    /// the experimental channel of Gateway API, and status says so where it is missing. `ClientIP`: the Service keeps a
    /// client address on one pod for three hours; only useful where the proxy connects through the Service. `None`.
    /// Default: `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
}

/// What keeps a client on one pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum Affinity {
    Cookie,
    ClientIP,
    #[default]
    None,
}

/// Configuration files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Configuration of the application, any YAML. It is mounted as `/etc/portal/app-config.yaml`, and a change rolls the
    /// pods. Preset `Backstage` starts `node packages/backend` with `app-config.yaml`, `app-config.production.yaml` and this
    /// file, unless the component sets `command` or `args`; other programs read the file named in the variable
    /// `PORTAL_CONFIG`. Never put a secret here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub app_config: Option<serde_json::Map<String, serde_json::Value>>,

    /// ConfigMaps and Secrets mounted as folders, read-only, into every component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"]))]
    pub files: Vec<ConfigFile>,
}

/// A folder of files: exactly one of `configMapRef` and `secretRef`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFile {
    /// A ConfigMap in the namespace of the portal; each key is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<LocalRef>,

    /// A Secret in the namespace of the portal; each key is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,

    /// Folder in the container, unique in the portal, such as `/app/keys`. Not `/etc/portal` or `/tmp`.
    #[schemars(
        length(min = 2, max = 200),
        regex(pattern = r"^/[-A-Za-z0-9._]+(/[-A-Za-z0-9._]+)*$")
    )]
    pub mount_path: String,
}

/// How the portal is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// `Gateway`: an HTTPRoute at `gatewayRef`. `Ingress`: an Ingress. `None`: not exposed. `Auto`: Gateway if `gatewayRef` is
    /// set, else Ingress if `host` is. Default: `Auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ExposureMode>,

    /// The Gateway to attach to. It must admit routes from this namespace (`listeners[].allowedRoutes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_ref: Option<GatewayRef>,

    /// IngressClass in mode Ingress. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub ingress_class_name: Option<String>,

    /// Annotations of the Ingress or HTTPRoute, for settings of its controller or of external-dns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = {"type": "string", "maxLength": 8192}))]
    pub annotations: BTreeMap<String, String>,

    /// Namespace of the pods that forward traffic to exposed components, for the NetworkPolicy. Default: the Gateway's
    /// namespace in mode Gateway (set it where the proxies run elsewhere, as with Envoy Gateway); every namespace in mode
    /// Ingress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub controller_namespace: Option<String>,

    /// Encryption between the client and the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// Time limits at the Gateway; mode Gateway only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// By which API the portal is exposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum ExposureMode {
    #[default]
    Auto,
    Gateway,
    Ingress,
    None,
}

/// A Gateway, possibly in another namespace: Gateway API has its own consent for that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRef {
    /// Name of the Gateway.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Namespace of the Gateway. Default: that of the portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// Listener of the Gateway. Name the HTTPS listener, so that nothing is served over plain HTTP. Default: every
    /// listener that matches the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// Encryption between the client and the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Where the certificate comes from. `CertManager`: a cert-manager Certificate from `issuerRef`, kept in the Secret
    /// `<portal>-tls`. `Secret`: the Secret in `secretRef`; Ingress only. `Gateway`: the Gateway's listener has its own.
    /// `None`: plain HTTP. Default: `CertManager` if `issuerRef` is set, `Secret` if `secretRef` is, `Gateway` in mode Gateway,
    /// else `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,

    /// The issuer, for `CertManager`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,

    /// A Secret of type `kubernetes.io/tls`, for `Secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

/// Where the certificate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum TlsMode {
    CertManager,
    Secret,
    Gateway,
    None,
}

/// A cert-manager issuer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerRef {
    /// `Issuer` (in the namespace of the portal) or `ClusterIssuer`. Default: `ClusterIssuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,

    /// API group, for issuers from outside cert-manager. Default: `cert-manager.io`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub group: Option<String>,

    /// Name of the issuer.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Time limits at the Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Longest time from request to full answer; `0s` for none. Components with `webSocket` always have none.
    /// Default: that of the Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<DurationText>,
}

/// Which network traffic is allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// `Restricted`: a NetworkPolicy for each component that allows only traffic between the components, from the
    /// gateway to exposed ones, to DNS, and what the lists below name. `Open`: no NetworkPolicy.
    /// Default: `Restricted`; `Open` in profile Development.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<NetworkMode>,

    /// Where the pods may connect to, besides DNS and each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub allowed_destinations: Vec<Destination>,

    /// Which namespaces may connect to the pods, besides the gateway.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub allowed_clients: Vec<Client>,
}

/// How strict the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "described where the field is")]
pub enum NetworkMode {
    Restricted,
    Open,
}

/// A destination of connections: exactly one of `internet`, `cidr` and `namespace`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Destination {
    /// `true`: every public address; private, shared, link-local and loopback ranges stay closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internet: Option<bool>,

    /// An address range such as `10.0.0.0/8` or `2001:db8::/32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 4, max = 43),
        regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")
    )]
    pub cidr: Option<String>,

    /// Every pod of a namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,

    /// TCP ports. Default: every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
}

/// A namespace whose pods may connect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Name of the namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,

    /// Names of the ports that it may use. A component has one, `http`. Default: every port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(length(max = 15), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub ports: Vec<String>,
}

/// Identity of the pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// Annotations of the ServiceAccount, for workload identity of the cloud provider. The token of the Kubernetes API is
    /// never mounted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 2048}))]
    pub service_account_annotations: BTreeMap<String, String>,
}

/// An exception from a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyException {
    /// Name of the policy, as in `status.policies`.
    pub name: super::status::PolicyName,

    /// Why, and until when.
    pub waiver: Waiver,
}

/// Reason and end of an exception.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Waiver {
    /// Why the policy need not hold; shown in status.
    #[schemars(length(min = 1, max = 200))]
    pub reason: String,

    /// When the exception ends, such as `2027-03-31T00:00:00Z`. After it the policy counts again.
    #[schemars(length(max = 40), extend("format" = "date-time"))]
    pub until: String,
}

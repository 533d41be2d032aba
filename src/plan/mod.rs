//! From what the user wrote to what shall be: the plan leaves no choice open, and whatever can fail fails here.
//!
//! Pure: no client, no clock, no environment. One policy area a file.

pub mod availability;
pub mod backup;
pub mod config;
pub mod database;
mod demand;
pub mod exposure;
mod facts;
pub mod identity;
pub mod isolation;
mod parameters;
pub mod preset;
pub mod profile;
pub mod recovery_objective;
pub mod scaling;
pub mod schedule;
mod volumes;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, ResourceRequirements};
use serde::Serialize;

pub use self::{
    availability::Placement,
    backup::Backup,
    database::Database,
    demand::Demand,
    exposure::{Exposure, Route, TlsSource},
    facts::{DatabaseFacts, Facts},
    identity::Identity,
    isolation::Isolation,
    scaling::{Autoscaling, Replicas},
    schedule::Schedule,
};
use crate::{
    api::spec::{self, Affinity, ConfigFile, PortalPlatform, Profile},
    digest::digest,
};

/// Something in the spec that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Path of the field, such as `spec.components[api].resources`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Everything the portal consists of.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// Names and labels.
    pub identity: Identity,
    /// Profile in force.
    pub profile: Profile,
    /// Programs, in the order of the spec.
    pub components: Vec<Component>,
    /// Names of the pull secrets.
    pub image_pull_secrets: Vec<String>,
    /// Annotations of the ServiceAccount.
    pub service_account_annotations: BTreeMap<String, String>,
    /// Text of the application's configuration file, if there is one.
    pub app_config: Option<String>,
    /// How the portal is reached.
    pub exposure: Exposure,
    /// Whose the database is.
    pub database: Database,
    /// The connections to the database that the components may open.
    pub demand: Demand,
    /// Backups of a managed database; `None`: nowhere to put them.
    pub backup: Option<Backup>,
    /// Recovery point objective.
    pub recovery_point: Duration,
    /// Namespaces that may connect where traffic is restricted.
    #[serde(skip)]
    pub clients: Vec<spec::Client>,
    /// Namespace in which this operator runs.
    #[serde(skip)]
    pub operator_namespace: String,
    /// `true`: nothing may be written.
    #[serde(skip)]
    pub suspended: bool,
}

/// One program.
#[derive(Clone, Debug, Serialize)]
pub struct Component {
    /// Name in the portal.
    pub name: String,
    /// Name of its objects, `<portal>-<component>`.
    pub object_name: String,
    /// Container image.
    pub image: String,
    /// Where the spec names the image.
    #[serde(skip)]
    pub image_field: String,
    /// Port of the program.
    pub port: u16,
    /// Whether the portal is down when this component is.
    pub critical: bool,
    /// Entrypoint; empty: the image's.
    pub command: Vec<String>,
    /// Arguments; empty: the image's.
    pub args: Vec<String>,
    /// Variables set by the operator, kept in a ConfigMap that every other source of variables overrides.
    pub environment: BTreeMap<String, String>,
    /// The user's sources of variables.
    pub env_from: Vec<EnvFromSource>,
    /// The user's variables.
    pub env: Vec<EnvVar>,
    /// Folders mounted from ConfigMaps and Secrets.
    pub files: Vec<ConfigFile>,
    /// Requests and limits.
    pub resources: ResourceRequirements,
    /// Number of pods.
    pub replicas: Replicas,
    /// `true`: the first start is not over, and no second pod may run beside the first.
    #[serde(skip)]
    pub first_start: bool,
    /// Where the pods run.
    pub placement: Placement,
    /// Whether a disruption budget protects the pods.
    pub disruption_budget: bool,
    /// Health checks.
    pub probes: preset::Probes,
    /// How a pod ends.
    pub shutdown: preset::Shutdown,
    /// Numeric user, where the image names its own by a name that Kubernetes cannot check.
    pub run_as_user: Option<i64>,
    /// How the component reaches the database, if it does.
    pub database: Option<database::Connection>,
    /// Session affinity, for components with WebSockets.
    pub web_socket: Option<Affinity>,
    /// Network rules; `None`: open.
    pub isolation: Option<Isolation>,
    /// Versions of the Secrets and ConfigMaps that it uses and whose change rolls its pods.
    #[serde(skip)]
    pub reload: Vec<u64>,
}

impl Component {
    /// Digest over all configuration that a running pod has read, so that a change rolls the pods.
    #[must_use]
    pub fn config_digest(&self, plan: &Plan) -> String {
        let app_config = plan.app_config.as_deref();
        let secret = plan
            .database
            .managed()
            .filter(|_| self.database.is_some())
            .and_then(|managed| managed.secret_version);
        secret.map_or_else(
            || digest(&(&self.environment, app_config, &self.reload)),
            |secret| digest(&(&self.environment, app_config, &self.reload, secret)),
        )
    }
}

impl Plan {
    /// Digest of the plan, the same for the same spec and the same release of the operator, whatever state the portal
    /// is in.
    #[must_use]
    pub fn revision(&self) -> String {
        digest(self)
    }
}

/// Resolves a portal.
///
/// # Errors
/// Every [`SpecProblem`] of the spec, not only the first.
pub fn plan(portal: &PortalPlatform, facts: &Facts) -> Result<Plan, Vec<SpecProblem>> {
    let spec = &portal.spec;
    let mut problems = Vec::new();
    let identity = Identity::of(portal, &mut problems);
    let profile = spec.profile.unwrap_or_default();
    let declared = declared_components(spec, &mut problems);
    let exposure = exposure::plan(spec, &identity, &declared, facts);
    let app_config = config::app_config(spec, &mut problems);
    check_waivers(spec, &mut problems);

    let preset = spec.preset.unwrap_or_default();
    let size = spec.size.unwrap_or_default();
    let connecting: Vec<_> = declared
        .iter()
        .filter(|component| connects(component))
        .map(|component| {
            let replicas = scaling::plan(profile, component);
            (component.name.clone(), demand::most_pods(&replicas))
        })
        .collect();
    let demand = demand::plan(preset, size, &connecting);
    let database = database::plan(spec, profile, &identity, &demand, facts, &mut problems);
    let image = database.managed().map(|managed| &managed.image);
    let backup = backup::plan(spec, profile, &identity, image, facts, &mut problems);

    let shared = Shared {
        spec,
        profile,
        preset,
        size,
        declared: &declared,
        identity: &identity,
        exposure: &exposure,
        has_app_config: app_config.is_some(),
        database: &database,
        demand: &demand,
        facts,
    };
    let components = declared
        .iter()
        .map(|component| shared.component(component, &mut problems))
        .collect();

    // A default that follows from a wrong value would say the same again.
    problems.dedup();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Plan {
        identity,
        profile,
        components,
        image_pull_secrets: spec
            .image_pull_secrets
            .iter()
            .map(|secret| secret.name.clone())
            .collect(),
        service_account_annotations: spec
            .security
            .as_ref()
            .map(|security| security.service_account_annotations.clone())
            .unwrap_or_default(),
        app_config,
        exposure,
        database,
        demand,
        backup,
        recovery_point: recovery_objective::of(spec),
        clients: spec
            .network
            .as_ref()
            .map(|network| network.allowed_clients.clone())
            .unwrap_or_default(),
        operator_namespace: facts.own_namespace(),
        suspended: spec.suspend.unwrap_or(false),
    })
}

/// What the plans of all components have in common.
struct Shared<'a> {
    spec: &'a spec::PortalPlatformSpec,
    profile: Profile,
    preset: spec::Preset,
    size: spec::Size,
    declared: &'a [spec::Component],
    identity: &'a Identity,
    exposure: &'a Exposure,
    has_app_config: bool,
    database: &'a Database,
    demand: &'a Demand,
    facts: &'a Facts,
}

impl Shared<'_> {
    fn component(&self, component: &spec::Component, problems: &mut Vec<SpecProblem>) -> Component {
        let &Self {
            spec,
            profile,
            preset,
            size,
            declared,
            identity,
            exposure,
            has_app_config,
            database,
            demand,
            facts,
        } = self;
        let defaults = preset::defaults(preset);
        let resources = preset::resources(size, component, problems);
        let replicas = scaling::plan(profile, component);
        let connection = database
            .connection()
            .filter(|_| connects(component))
            .cloned();
        let probes = preset::probes(&defaults, component, problems);
        let shutdown = preset::shutdown(preset, &probes);
        let (command, args) =
            config::command(preset, component, spec.config.as_ref(), has_app_config);
        Component {
            name: component.name.clone(),
            object_name: identity.object_name(&component.name),
            image: component.image.clone(),
            image_field: spec.image.as_ref().map_or_else(
                || format!("spec.components[{}].image", component.name),
                |_| "spec.image".to_owned(),
            ),
            port: component.port.unwrap_or(defaults.port),
            critical: component.critical.unwrap_or(true),
            command,
            args,
            environment: config::environment(&config::Sources {
                preset,
                component,
                declared,
                identity,
                url: exposure.url.as_deref(),
                memory_limit: preset::memory_limit(&resources),
                has_app_config,
                database: connection.as_ref(),
                demand,
            }),
            env_from: config::env_from(component),
            env: config::env(preset, component, connection.as_ref()),
            files: spec.config.iter().flat_map(|c| c.files.clone()).collect(),
            first_start: defaults.first_start_gate && !facts.started.contains(&component.name),
            placement: availability::placement(profile, component),
            disruption_budget: availability::wants_budget(&replicas),
            probes,
            shutdown,
            run_as_user: defaults.run_as_user,
            web_socket: component
                .web_socket
                .as_ref()
                .map(|socket| socket.affinity.unwrap_or_default()),
            isolation: isolation::plan(
                spec,
                profile,
                exposure,
                component,
                connection.as_ref().and(Some(database)),
            ),
            reload: config::reload(
                component,
                spec.config.as_ref(),
                connection.as_ref(),
                &facts.reload,
            ),
            database: connection,
            replicas,
            resources,
        }
    }
}

fn connects(component: &spec::Component) -> bool {
    component.database.unwrap_or_default() == spec::DatabaseUse::Connect
}

/// The components as if all were written out: `image` is short for one named `app`, exposed at `/` if there is a host.
fn declared_components(
    spec: &spec::PortalPlatformSpec,
    problems: &mut Vec<SpecProblem>,
) -> Vec<spec::Component> {
    match (&spec.image, spec.components.is_empty()) {
        (Some(image), true) => vec![spec::Component {
            name: "app".into(),
            image: image.clone(),
            path: spec.host.as_ref().map(|_| "/".into()),
            ..spec::Component::default()
        }],
        (None, false) => spec.components.clone(),
        _ => {
            problems.push(SpecProblem {
                field: "spec.image".into(),
                message: "set either image (one component) or components".into(),
            });
            Vec::new()
        }
    }
}

fn check_waivers(spec: &spec::PortalPlatformSpec, problems: &mut Vec<SpecProblem>) {
    for exception in &spec.policies {
        if exception
            .waiver
            .until
            .parse::<k8s_openapi::jiff::Timestamp>()
            .is_err()
        {
            problems.push(SpecProblem {
                field: format!("spec.policies[{}].waiver.until", exception.name.as_str()),
                message: format!(
                    "{:?} is no point in time; write it as 2027-03-31T00:00:00Z",
                    exception.waiver.until
                ),
            });
        }
    }
}

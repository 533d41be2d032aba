//! Environment, arguments and configuration file of a component.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapKeySelector, EnvFromSource, EnvVar, EnvVarSource,
    ObjectFieldSelector, SecretEnvSource, SecretKeySelector,
};
use serde_json::json;

use super::{Demand, Identity, SpecProblem, database::Connection, preset::DRAIN_SECONDS};
use crate::api::spec::{Component, Config, PortalPlatformSpec, Preset};

/// Folder of the configuration file in every container.
pub const CONFIG_FOLDER: &str = "/etc/portal";
/// Folder with the certificate of the authority that signed the database's.
pub const DATABASE_FOLDER: &str = "/etc/portal-database";
/// Name of that certificate.
pub const DATABASE_AUTHORITY: &str = "ca.crt";
/// Where the certificate is in a container.
#[must_use]
pub fn database_authority_path() -> String {
    format!("{DATABASE_FOLDER}/{DATABASE_AUTHORITY}")
}

/// Name of the configuration file.
pub const CONFIG_FILE: &str = "app-config.yaml";
/// A ConfigMap holds 1 MiB; leave room for its metadata.
const MAX_CONFIG_BYTES: usize = 900 * 1024;

/// Ends a Backstage process whose start failed or whose port is taken. Without it such a process stays up for good, alive and
/// never ready. No spaces: `NODE_OPTIONS` is split at them.
const EXIT_HOOK: &str = "--import=data:text/javascript,process.on('unhandledRejection',e=>{if(e&&(e.name==='BackendStartupError'||e.code==='EADDRINUSE')){console.error(e);process.exit(1)}})";

pub(super) fn app_config(
    spec: &PortalPlatformSpec,
    problems: &mut Vec<SpecProblem>,
) -> Option<String> {
    let config = spec.config.as_ref()?.app_config.as_ref()?;
    let mut problem = |message: String| {
        problems.push(SpecProblem {
            field: "spec.config.appConfig".into(),
            message,
        });
    };
    let text = match crate::yaml::to_string(config) {
        Ok(text) => text,
        Err(error) => {
            problem(format!("cannot be written as YAML: {error}"));
            return None;
        }
    };
    if text.len() > MAX_CONFIG_BYTES {
        problem(format!(
            "is {} bytes long; a ConfigMap holds {MAX_CONFIG_BYTES}, so move large parts to config.files",
            text.len()
        ));
    }
    Some(text)
}

/// Command and arguments. Backstage loads the files that its arguments name and no others, so our file needs the whole list.
pub(super) fn command(
    preset: Preset,
    component: &Component,
    config: Option<&Config>,
    has_app_config: bool,
) -> (Vec<String>, Vec<String>) {
    let untouched = component.command.is_empty() && component.args.is_empty();
    if preset == Preset::Backstage && untouched && has_app_config && config.is_some() {
        let own = format!("{CONFIG_FOLDER}/{CONFIG_FILE}");
        let files = ["app-config.yaml", "app-config.production.yaml", &own];
        return (
            vec!["node".into(), "packages/backend".into()],
            files
                .iter()
                .flat_map(|file| ["--config".to_owned(), (*file).to_owned()])
                .collect(),
        );
    }
    (component.command.clone(), component.args.clone())
}

/// What the environment of a component follows from.
pub(super) struct Sources<'a> {
    pub preset: Preset,
    pub component: &'a Component,
    pub declared: &'a [Component],
    pub identity: &'a Identity,
    pub url: Option<&'a str>,
    pub memory_limit: Option<f64>,
    pub has_app_config: bool,
    pub database: Option<&'a Connection>,
    pub demand: &'a Demand,
}

pub(super) fn environment(sources: &Sources) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: String| environment.insert(name.to_owned(), value);
    for other in sources.declared {
        if other.name != sources.component.name {
            let name = other.name.to_uppercase().replace('-', "_");
            set(
                &format!("{name}_URL"),
                format!("http://{}", sources.identity.object_name(&other.name)),
            );
        }
    }
    if let Some(url) = sources.url {
        set("PORTAL_URL", url.into());
    }
    if sources.has_app_config {
        set("PORTAL_CONFIG", format!("{CONFIG_FOLDER}/{CONFIG_FILE}"));
    }
    if let Some(connection) = sources.database {
        environment_of_database(sources, connection, &mut set);
    }
    // No home directory is writable, and programs that look for one would fail.
    set("HOME", "/tmp".into());
    match sources.preset {
        Preset::Generic => {
            set(
                "PORT",
                sources
                    .component
                    .port
                    .unwrap_or(super::preset::defaults(Preset::Generic).port)
                    .to_string(),
            );
        }
        Preset::Backstage => {
            let port = sources
                .component
                .port
                .unwrap_or(super::preset::defaults(Preset::Backstage).port);
            set("NODE_ENV", "production".into());
            set("NODE_OPTIONS", node_options(sources.memory_limit));
            // Backstage parses these values as JSON, so strings carry their quotes.
            if let Some(url) = sources.url {
                set("APP_CONFIG_app_baseUrl", json!(url).to_string());
                set("APP_CONFIG_backend_baseUrl", json!(url).to_string());
            }
            set(
                "APP_CONFIG_backend_listen",
                json!(format!(":{port}")).to_string(),
            );
            set(
                "APP_CONFIG_backend_lifecycle_serverShutdownDelay",
                json!(format!("{DRAIN_SECONDS}s")).to_string(),
            );
        }
    }
    environment
}

/// What tells a program where the database is. User and password come from its Secret, see [`env`].
fn environment_of_database(
    sources: &Sources,
    connection: &Connection,
    set: &mut impl FnMut(&str, String) -> Option<String>,
) {
    set("PGHOST", connection.host.clone());
    set("PGPORT", connection.port.to_string());
    set("PGDATABASE", connection.database.clone());
    set("PGSSLMODE", connection.ssl_mode.into());
    if let Some(file) = root_certificate(connection) {
        set("PGSSLROOTCERT", file);
    }
    match sources.preset {
        Preset::Generic => {
            let connections = sources
                .demand
                .components
                .iter()
                .find(|(name, ..)| *name == sources.component.name)
                .map_or(0, |(_, _, connections)| *connections);
            set("DATABASE_MAX_CONNECTIONS", connections.to_string());
        }
        Preset::Backstage => {
            if connection.authority.is_some() {
                // Node knows no PGSSLROOTCERT.
                set("NODE_EXTRA_CA_CERTS", database_authority_path());
            }
            // For images whose own configuration refers to them.
            set("POSTGRES_HOST", connection.host.clone());
            set("POSTGRES_PORT", connection.port.to_string());
            let database = json!({
                "client": "pg",
                // The user may not create databases, so every plugin has a schema.
                "pluginDivisionMode": "schema",
                "ensureExists": false,
                "ensureSchemaExists": true,
                // From the variables PG…: a password written here would be parsed as JSON.
                "connection": {},
                "knexConfig": {"pool": {"min": 0, "max": sources.demand.pool_max}},
            });
            set("APP_CONFIG_backend_database", database.to_string());
        }
    }
}

/// File against which libpq checks the server's certificate.
fn root_certificate(connection: &Connection) -> Option<String> {
    match (&connection.authority, connection.ssl_mode) {
        (Some(_), _) => Some(database_authority_path()),
        (None, "verify-full") => Some("system".into()),
        (None, _) => None,
    }
}

/// The heap gets three quarters of the memory limit; the rest is for buffers and native code.
fn node_options(memory_limit: Option<f64>) -> String {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of mebibytes"
    )]
    let heap = memory_limit.map(|bytes| (bytes * 0.75 / 1_048_576.0) as u64);
    heap.map_or_else(
        || EXIT_HOOK.to_owned(),
        |heap| format!("--max-old-space-size={heap} {EXIT_HOOK}"),
    )
}

pub(super) fn env_from(component: &Component) -> Vec<EnvFromSource> {
    component
        .env_from
        .iter()
        .map(|source| EnvFromSource {
            config_map_ref: source
                .config_map_ref
                .as_ref()
                .map(|map| ConfigMapEnvSource {
                    name: map.name.clone(),
                    optional: None,
                }),
            secret_ref: source.secret_ref.as_ref().map(|secret| SecretEnvSource {
                name: secret.name.clone(),
                optional: None,
            }),
            prefix: source.prefix.clone(),
        })
        .collect()
}

/// The variables that come from the database's Secret, and the user's, which replace those of the same name.
pub(super) fn env(
    preset: Preset,
    component: &Component,
    connection: Option<&Connection>,
) -> Vec<EnvVar> {
    let own = connection.map_or_else(Vec::new, |connection| credentials(preset, connection));
    own.into_iter()
        .filter(|variable| !component.env.iter().any(|user| user.name == variable.name))
        .chain(users_env(component))
        .collect()
}

/// A variable from a key of a Secret.
pub(crate) fn from_secret(name: &str, secret: &str, key: &str) -> EnvVar {
    EnvVar {
        name: name.into(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: secret.into(),
                key: key.into(),
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn credentials(preset: Preset, connection: &Connection) -> Vec<EnvVar> {
    let key = |name: &str, key: &str| from_secret(name, &connection.secret, key);
    let mut variables = vec![key("PGUSER", "username"), key("PGPASSWORD", "password")];
    match preset {
        Preset::Backstage => variables.extend([
            key("POSTGRES_USER", "username"),
            key("POSTGRES_PASSWORD", "password"),
        ]),
        Preset::Generic => {
            let root = root_certificate(connection)
                .map_or_else(String::new, |file| format!("&sslrootcert={file}"));
            variables.push(EnvVar {
                name: "DATABASE_URL".into(),
                value: Some(format!(
                    "postgresql://$(PGUSER):$(PGPASSWORD)@{}:{}/{}?sslmode={}{root}",
                    connection.host, connection.port, connection.database, connection.ssl_mode
                )),
                ..EnvVar::default()
            });
        }
    }
    variables
}

fn users_env(component: &Component) -> Vec<EnvVar> {
    component
        .env
        .iter()
        .map(|variable| EnvVar {
            name: variable.name.clone(),
            value: variable.value.clone(),
            value_from: variable.value_from.as_ref().map(|source| EnvVarSource {
                secret_key_ref: source.secret_key_ref.as_ref().map(|key| SecretKeySelector {
                    name: key.name.clone(),
                    key: key.key.clone(),
                    optional: key.optional,
                }),
                config_map_key_ref: source.config_map_key_ref.as_ref().map(|key| {
                    ConfigMapKeySelector {
                        name: key.name.clone(),
                        key: key.key.clone(),
                        optional: key.optional,
                    }
                }),
                field_ref: source.field_ref.as_ref().map(|field| ObjectFieldSelector {
                    api_version: Some("v1".into()),
                    field_path: field.field_path.clone(),
                }),
                ..EnvVarSource::default()
            }),
        })
        .collect()
}

/// Versions of those marked Secrets and ConfigMaps that a component uses.
pub(super) fn reload(
    component: &Component,
    config: Option<&Config>,
    connection: Option<&Connection>,
    versions: &BTreeMap<(&'static str, String), u64>,
) -> Vec<u64> {
    let mut used: Vec<(&'static str, &str)> = Vec::new();
    for source in &component.env_from {
        used.extend(
            source
                .secret_ref
                .iter()
                .map(|r| ("Secret", r.name.as_str())),
        );
        used.extend(
            source
                .config_map_ref
                .iter()
                .map(|r| ("ConfigMap", r.name.as_str())),
        );
    }
    for source in component.env.iter().filter_map(|v| v.value_from.as_ref()) {
        used.extend(
            source
                .secret_key_ref
                .iter()
                .map(|r| ("Secret", r.name.as_str())),
        );
        used.extend(
            source
                .config_map_key_ref
                .iter()
                .map(|r| ("ConfigMap", r.name.as_str())),
        );
    }
    for file in config.iter().flat_map(|config| &config.files) {
        used.extend(file.secret_ref.iter().map(|r| ("Secret", r.name.as_str())));
        used.extend(
            file.config_map_ref
                .iter()
                .map(|r| ("ConfigMap", r.name.as_str())),
        );
    }
    if let Some(connection) = connection {
        used.push(("Secret", &connection.secret));
    }
    used.sort_unstable();
    used.dedup();
    used.into_iter()
        .filter_map(|(kind, name)| versions.get(&(kind, name.to_owned())).copied())
        .collect()
}

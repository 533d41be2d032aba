//! The database of a portal: whose it is, how it is laid out, and how the components reach it.
//!
//! Values were measured, not guessed, where the comment says so; they come from runs of CloudNativePG 1.30, PostgreSQL 17 and
//! Backstage with sessions kept open as connection pools keep them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Demand, Facts, Identity, SpecProblem, backup, parameters, profile, recovery_objective, volumes,
};
use crate::api::{
    database::{
        self, DatabaseMode, ExternalTlsMode, ImageCatalogKind, PoolerMode, ReclaimPolicy,
        SynchronousMode, WhenSuspended,
    },
    spec::{PortalPlatformSpec, Preset, Profile, Size, SpreadMode, Toleration},
    values::Quantity,
};

/// Name of the database and of its owner in a managed cluster.
pub const DATABASE: &str = "app";
/// Value of the component label on the pods of the database.
pub const COMPONENT: &str = "db";
/// Value of the component label on the pods of the pooler.
pub const POOLER_COMPONENT: &str = "db-pooler";
/// Port of PostgreSQL and of PgBouncer.
pub const PORT: u16 = 5432;
/// Namespace of the operator of CloudNativePG, as its manifests have it.
const OPERATOR_NAMESPACE: &str = "cnpg-system";
/// Repository of the images of PostgreSQL.
const IMAGE: &str = "ghcr.io/cloudnative-pg/postgresql";
const DEFAULT_VERSION: i32 = 17;
/// Size of the data volume unless the user says otherwise.
pub const DEFAULT_STORAGE: &str = "20Gi";
/// Connections that PostgreSQL keeps for its superuser and that the instance manager and monitoring use.
pub const RESERVED_CONNECTIONS: i32 = 20;
/// Server connections of a pooler that shares them by transaction.
const TRANSACTION_POOL: i32 = 25;

/// Whose the database is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Database {
    /// There is none.
    None,
    /// It exists elsewhere.
    External(External),
    /// A cluster of CloudNativePG.
    Managed(Box<Managed>),
}

/// A database elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct External {
    /// How it is reached.
    pub connection: Connection,
    /// How the connection is protected.
    pub tls: ExternalTlsMode,
    /// Connections that the server has for this portal.
    pub max_connections: Option<i32>,
}

/// How components reach the database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Connection {
    /// Host name.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Secret with the keys `username` and `password`.
    pub secret: String,
    /// Secret and key with the certificate of the authority.
    pub authority: Option<(String, String)>,
    /// `sslmode` of libpq.
    pub ssl_mode: &'static str,
}

/// A cluster of CloudNativePG.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Managed {
    /// Name of the Cluster.
    pub name: String,
    /// Namespace in which the operator of CloudNativePG runs.
    pub operator_namespace: String,
    /// How it is reached.
    pub connection: Connection,
    /// Number of instances.
    pub instances: i32,
    /// Image.
    pub image: Image,
    /// Size of the data volume.
    pub storage: Quantity,
    /// Size of the volume of the write-ahead log.
    pub wal_storage: Option<Quantity>,
    /// `StorageClass`; `None`: that of the cluster.
    pub storage_class: Option<String>,
    /// Whether a commit waits for a standby.
    pub synchronous: SynchronousMode,
    /// Parameters of PostgreSQL, derived and the user's.
    pub parameters: BTreeMap<String, String>,
    /// CPU request.
    pub cpu: &'static str,
    /// Memory, requested and limited alike, so that PostgreSQL is the last to be evicted.
    pub memory: &'static str,
    /// Distribution over zones and nodes.
    pub spread: SpreadMode,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    pub tolerations: Vec<Toleration>,
    /// Connection pool.
    pub pooler: Option<Pooler>,
    /// What becomes of the data of a deleted portal.
    pub reclaim: ReclaimPolicy,
    /// Whether network traffic is restricted.
    pub isolated: bool,
    /// Whether its pods are stopped while the portal is suspended.
    pub hibernates: bool,
    /// Whether the Cluster has been there and ready since its creation, so that components can start.
    #[serde(skip)]
    pub usable: bool,
    /// Version of the Secret with the password, whose change rolls the pods.
    #[serde(skip)]
    pub secret_version: Option<u64>,
    /// Size of the data volumes that exist, which can be larger than a default that came later.
    #[serde(skip)]
    pub live_storage: Option<Quantity>,
    /// The same of the volumes for the write-ahead log.
    #[serde(skip)]
    pub live_wal_storage: Option<Quantity>,
}

/// The image of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Image {
    /// By name.
    Name(String),
    /// From a catalog.
    Catalog {
        /// Kind of the catalog.
        kind: ImageCatalogKind,
        /// Its name.
        name: String,
        /// Major version.
        major: i32,
    },
}

/// A connection pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pooler {
    /// Name of the Pooler and of its Service.
    pub name: String,
    /// How connections are shared.
    pub mode: PoolerMode,
    /// Number of pods.
    pub instances: i32,
    /// Server connections of each pod.
    pub pool_size: i32,
    /// Clients that each pod accepts.
    pub max_clients: i32,
    /// Image; `None`: that of CloudNativePG.
    pub image: Option<String>,
}

impl Database {
    /// How the components reach it.
    #[must_use]
    pub fn connection(&self) -> Option<&Connection> {
        match self {
            Self::None => None,
            Self::External(external) => Some(&external.connection),
            Self::Managed(managed) => Some(&managed.connection),
        }
    }

    /// The pooler whose pods a disruption budget keeps: one pod alone could never be evicted.
    #[must_use]
    pub fn pooler_with_budget(&self) -> Option<&Pooler> {
        let pooler = self.managed()?.pooler.as_ref()?;
        (pooler.instances > 1).then_some(pooler)
    }

    /// The cluster, if it is managed.
    #[must_use]
    pub fn managed(&self) -> Option<&Managed> {
        match self {
            Self::Managed(managed) => Some(managed),
            _ => None,
        }
    }
}

pub(super) fn plan(
    spec: &PortalPlatformSpec,
    profile: Profile,
    identity: &Identity,
    demand: &Demand,
    facts: &Facts,
    problems: &mut Vec<SpecProblem>,
) -> Database {
    let database = spec.database.clone().unwrap_or_default();
    let problem = |field: &str, message: &str| SpecProblem {
        field: format!("spec.database.{field}"),
        message: message.into(),
    };
    match (database.mode.unwrap_or_default(), &database.external) {
        (DatabaseMode::None, _) => Database::None,
        (DatabaseMode::External, Some(external)) => Database::External(elsewhere(external)),
        (DatabaseMode::External, None) => {
            problems.push(problem("external", "is needed in mode External"));
            Database::None
        }
        (DatabaseMode::Managed, _) => Database::Managed(Box::new(managed(
            spec, &database, profile, identity, demand, facts, problems,
        ))),
    }
}

/// Secret and key of the certificate of an authority.
pub(super) fn authority(own: database::CaSecretRef) -> (String, String) {
    (own.name, own.key.unwrap_or_else(|| "ca.crt".into()))
}

fn elsewhere(external: &database::External) -> External {
    let tls = external.tls.clone().unwrap_or_default();
    let mode = tls.mode.unwrap_or_default();
    External {
        connection: Connection {
            host: external.host.clone(),
            port: external.port.unwrap_or(PORT),
            database: external
                .database
                .clone()
                .unwrap_or_else(|| DATABASE.to_owned()),
            secret: external.credentials_secret_ref.name.clone(),
            authority: tls.ca_secret_ref.map(authority),
            ssl_mode: match mode {
                ExternalTlsMode::VerifyFull => "verify-full",
                ExternalTlsMode::Require => "require",
                ExternalTlsMode::Disable => "disable",
            },
        },
        tls: mode,
        max_connections: external.max_connections,
    }
}

fn managed(
    spec: &PortalPlatformSpec,
    database: &database::Database,
    profile: Profile,
    identity: &Identity,
    demand: &Demand,
    facts: &Facts,
    problems: &mut Vec<SpecProblem>,
) -> Managed {
    let defaults = &profile::defaults(profile);
    let own = database.managed.clone().unwrap_or_default();
    let name = identity.database_name();
    let instances = own.instances.unwrap_or(defaults.database.instances);
    parameters::check(&own, problems);
    // A single instance has no standby to wait for.
    let synchronous = match own.synchronous.as_ref().and_then(|own| own.mode) {
        Some(mode) => mode,
        None if instances < 2 => SynchronousMode::None,
        None => defaults.database.synchronous,
    };
    if instances < 2 && synchronous != SynchronousMode::None {
        problems.push(SpecProblem {
            field: "spec.database.managed.synchronous.mode".into(),
            message: "needs at least 2 instances; raise managed.instances, or set None".into(),
        });
    }
    let pooler = pooler(spec, &own, defaults, identity, demand, problems);
    let host = pooler
        .as_ref()
        .map_or_else(|| format!("{name}-rw"), |pooler| pooler.name.clone());
    let (cpu, memory, megabytes) = of_size(spec.size.unwrap_or_default());
    let storage = own.storage.clone().unwrap_or_default();
    let placement = own.placement.clone().unwrap_or_default();
    let live = &facts.database;
    Managed {
        connection: Connection {
            host,
            port: PORT,
            database: DATABASE.into(),
            secret: format!("{name}-app"),
            authority: Some((format!("{name}-ca"), "ca.crt".into())),
            ssl_mode: "verify-full",
        },
        operator_namespace: match facts.cloudnative_pg_namespace.as_str() {
            "" => OPERATOR_NAMESPACE.into(),
            namespace => namespace.into(),
        },
        image: image(&own),
        storage: volumes::plan("size", storage.size, live.storage.as_ref(), problems)
            .unwrap_or_else(|| Quantity(DEFAULT_STORAGE.into())),
        wal_storage: volumes::plan(
            "walSize",
            storage.wal_size,
            live.wal_storage.as_ref(),
            problems,
        ),
        storage_class: storage.class_name,
        parameters: parameters::plan(
            &own,
            pooler.as_ref(),
            demand,
            megabytes,
            &parameters::Archiving {
                timeout: recovery_objective::archive_timeout(spec),
                from_standby: instances > 1 && backup::wants_dumps(spec, profile),
            },
        ),
        spread: defaults.spread,
        node_selector: placement.node_selector,
        tolerations: placement.tolerations,
        reclaim: database.reclaim_policy.unwrap_or(defaults.database.reclaim),
        isolated: super::isolation::restricted(spec, profile),
        hibernates: own.when_suspended == Some(WhenSuspended::Hibernate),
        usable: live.usable,
        secret_version: live.secret_version,
        live_storage: live.storage.clone(),
        live_wal_storage: live.wal_storage.clone(),
        name,
        instances,
        synchronous,
        cpu,
        memory,
        pooler,
    }
}

fn image(own: &database::Managed) -> Image {
    let major = own.version.unwrap_or(DEFAULT_VERSION);
    match (&own.image_catalog_ref, &own.image_name) {
        (Some(catalog), _) => Image::Catalog {
            kind: catalog.kind.unwrap_or_default(),
            name: catalog.name.clone(),
            major,
        },
        (None, Some(name)) => Image::Name(name.clone()),
        (None, None) => Image::Name(format!("{IMAGE}:{major}")),
    }
}

fn pooler(
    spec: &PortalPlatformSpec,
    own: &database::Managed,
    defaults: &profile::Defaults,
    identity: &Identity,
    demand: &Demand,
    problems: &mut Vec<SpecProblem>,
) -> Option<Pooler> {
    let own = own.pooler.clone().unwrap_or_default();
    let mode = own.mode.unwrap_or(defaults.database.pooler);
    if mode == PoolerMode::Transaction && spec.preset == Some(Preset::Backstage) {
        problems.push(SpecProblem {
            field: "spec.database.managed.pooler.mode".into(),
            message: "Transaction makes the first start of Backstage fail (its tables come into wrong schemas); set Session or None".into(),
        });
    }
    let total = demand.total();
    let pool_size = own.pool_size.unwrap_or(match mode {
        PoolerMode::Transaction => TRANSACTION_POOL,
        PoolerMode::Session | PoolerMode::None => total.max(1),
    });
    (mode != PoolerMode::None).then(|| Pooler {
        name: identity.pooler_name(),
        mode,
        instances: own.instances.unwrap_or(defaults.database.pooler_instances),
        pool_size,
        // A client that is refused fails; one that waits is served.
        max_clients: total.max(pool_size) + 100,
        image: own.image_name,
    })
}

/// CPU request, memory, and memory in MiB.
const fn of_size(size: Size) -> (&'static str, &'static str, i32) {
    match size {
        Size::Small => ("250m", "1Gi", 1024),
        Size::Medium => ("500m", "2Gi", 2048),
        Size::Large => ("1", "4Gi", 4096),
    }
}

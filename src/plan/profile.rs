//! The profiles: one row of defaults for each kind of environment.
//!
//! Values are those of the architecture decisions that the operator carries out: at least two replicas of critical
//! services, spread over zones with maxSkew 1 and over nodes, disruption budgets, HPA up to 10 at 70 % CPU and 80 %
//! memory, default-deny network, restricted pods.

use crate::api::{
    backup::ArchiveMode,
    database::{PoolerMode, ReclaimPolicy, SynchronousMode},
    spec::{NetworkMode, Profile, SpreadMode},
    status::PolicyName,
};

/// CPU utilization that autoscaling aims at, in percent of the request.
pub const CPU_TARGET: i32 = 70;
/// Memory utilization that autoscaling aims at, in percent of the request.
pub const MEMORY_TARGET: i32 = 80;

/// What a profile sets.
pub struct Defaults {
    /// Least number of replicas.
    pub min_replicas: i32,
    /// Greatest number of replicas; equal to the least: no autoscaling.
    pub max_replicas: i32,
    /// Distribution over zones and over nodes.
    pub spread: SpreadMode,
    /// Network rules.
    pub network: NetworkMode,
    /// The database.
    pub database: DatabaseDefaults,
    /// Its backups, where they have a destination.
    pub backup: BackupDefaults,
    /// Policies that count in `PolicyCompliant`.
    pub required: &'static [PolicyName],
}

/// What a profile sets for a managed database.
pub struct DatabaseDefaults {
    /// Number of instances.
    pub instances: i32,
    /// Whether a commit waits for a standby.
    pub synchronous: SynchronousMode,
    /// How connections are shared.
    pub pooler: PoolerMode,
    /// Number of pods of the pooler.
    pub pooler_instances: i32,
    /// What becomes of the data of a deleted portal.
    pub reclaim: ReclaimPolicy,
}

/// What a profile sets for backups.
pub struct BackupDefaults {
    /// For how long every point in time can be restored.
    pub retention: &'static str,
    /// Whether dumps are kept for long.
    pub archive: ArchiveMode,
}

const SHORT_BACKUP: BackupDefaults = BackupDefaults {
    retention: "7d",
    archive: ArchiveMode::None,
};

/// One instance that goes with its portal.
const SMALL_DATABASE: DatabaseDefaults = DatabaseDefaults {
    instances: 1,
    synchronous: SynchronousMode::None,
    pooler: PoolerMode::None,
    pooler_instances: 1,
    reclaim: ReclaimPolicy::Delete,
};

/// The row of a profile.
#[must_use]
pub const fn defaults(profile: Profile) -> Defaults {
    match profile {
        Profile::Development => Defaults {
            min_replicas: 1,
            max_replicas: 1,
            spread: SpreadMode::None,
            network: NetworkMode::Open,
            database: SMALL_DATABASE,
            backup: SHORT_BACKUP,
            required: &[],
        },
        Profile::Staging => Defaults {
            min_replicas: 2,
            max_replicas: 4,
            spread: SpreadMode::Preferred,
            network: NetworkMode::Restricted,
            database: DatabaseDefaults {
                instances: 2,
                synchronous: SynchronousMode::None,
                pooler: PoolerMode::Session,
                pooler_instances: 1,
                reclaim: ReclaimPolicy::Retain,
            },
            backup: SHORT_BACKUP,
            required: &[PolicyName::Replicated, PolicyName::PodSecurity],
        },
        Profile::Production => Defaults {
            min_replicas: 3,
            max_replicas: 10,
            spread: SpreadMode::Required,
            network: NetworkMode::Restricted,
            database: DatabaseDefaults {
                instances: 3,
                synchronous: SynchronousMode::Preferred,
                pooler: PoolerMode::Session,
                pooler_instances: 2,
                reclaim: ReclaimPolicy::Retain,
            },
            backup: BackupDefaults {
                retention: "30d",
                archive: ArchiveMode::Dump,
            },
            required: &[
                PolicyName::Replicated,
                PolicyName::ZoneRedundant,
                PolicyName::DisruptionProtected,
                PolicyName::Autoscaling,
                PolicyName::NetworkRestricted,
                PolicyName::TransportSecure,
                PolicyName::PodSecurity,
                PolicyName::RecoveryPoint,
                PolicyName::BackupFresh,
                PolicyName::BackupRetained,
                PolicyName::ArchiveRetained,
            ],
        },
        Profile::Ephemeral => Defaults {
            min_replicas: 1,
            max_replicas: 1,
            spread: SpreadMode::None,
            network: NetworkMode::Restricted,
            database: SMALL_DATABASE,
            backup: SHORT_BACKUP,
            required: &[PolicyName::PodSecurity],
        },
    }
}

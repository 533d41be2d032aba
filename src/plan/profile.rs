//! The profiles: one row of defaults for each kind of environment.
//!
//! Values are those of the architecture decisions that the operator carries out: at least two replicas of critical
//! services, spread over zones with maxSkew 1 and over nodes, disruption budgets, HPA up to 10 at 70 % CPU and 80 %
//! memory, default-deny network, restricted pods.

use crate::api::{
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
    /// Policies that count in `PolicyCompliant`.
    pub required: &'static [PolicyName],
}

/// The row of a profile.
#[must_use]
pub const fn defaults(profile: Profile) -> Defaults {
    match profile {
        Profile::Development => Defaults {
            min_replicas: 1,
            max_replicas: 1,
            spread: SpreadMode::None,
            network: NetworkMode::Open,
            required: &[],
        },
        Profile::Staging => Defaults {
            min_replicas: 2,
            max_replicas: 4,
            spread: SpreadMode::Preferred,
            network: NetworkMode::Restricted,
            required: &[PolicyName::Replicated, PolicyName::PodSecurity],
        },
        Profile::Production => Defaults {
            min_replicas: 3,
            max_replicas: 10,
            spread: SpreadMode::Required,
            network: NetworkMode::Restricted,
            required: &[
                PolicyName::Replicated,
                PolicyName::ZoneRedundant,
                PolicyName::DisruptionProtected,
                PolicyName::Autoscaling,
                PolicyName::NetworkRestricted,
                PolicyName::TransportSecure,
                PolicyName::PodSecurity,
            ],
        },
        Profile::Ephemeral => Defaults {
            min_replicas: 1,
            max_replicas: 1,
            spread: SpreadMode::None,
            network: NetworkMode::Restricted,
            required: &[PolicyName::PodSecurity],
        },
    }
}

//! How many connections to the database the components may open.

use serde::Serialize;

use super::Replicas;
use crate::api::spec::{Preset, Size};

/// Backstage opened 28 connections at its peak with pools of at most 5: six for each connection of a pool's maximum.
const BACKSTAGE_CONNECTIONS_PER_POOL: i32 = 6;
/// The pools of Backstage were tried with this maximum; fewer than two connections can deadlock a plugin that needs a second
/// one within a transaction.
const BACKSTAGE_POOL: std::ops::RangeInclusive<i32> = 2..=5;
/// What a pod of preset Generic is told to open at most.
const GENERIC_CONNECTIONS: i32 = 10;

/// The connections that components may open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Components, each with its greatest number of pods and the connections of one pod.
    pub components: Vec<(String, i32, i32)>,
    /// Greatest number of connections of one pool of Backstage.
    pub pool_max: i32,
}

impl Demand {
    /// All connections at once, each component with one pod more during a rollout.
    #[must_use]
    pub fn total(&self) -> i32 {
        self.components
            .iter()
            .map(|(_, pods, connections)| pods * connections)
            .sum()
    }
}

/// The greatest number of pods of a component at once: one more than its maximum while a version is rolled out.
pub(super) const fn most_pods(replicas: &Replicas) -> i32 {
    match replicas {
        Replicas::Fixed(count) | Replicas::Manual { initial: count } => *count + 1,
        Replicas::Autoscaled(autoscaling) => autoscaling.max + 1,
    }
}

/// What the components may ask for. The pools of Backstage are made smaller where many pods share a small database.
pub(super) fn plan(preset: Preset, size: Size, pods: &[(String, i32)]) -> Demand {
    let most: i32 = pods.iter().map(|(_, count)| count).sum();
    let comfortable = match size {
        Size::Small => 150,
        Size::Medium => 300,
        Size::Large => 600,
    };
    let pool_max = (comfortable / (most.max(1) * BACKSTAGE_CONNECTIONS_PER_POOL))
        .clamp(*BACKSTAGE_POOL.start(), *BACKSTAGE_POOL.end());
    let each = match preset {
        Preset::Backstage => pool_max * BACKSTAGE_CONNECTIONS_PER_POOL,
        Preset::Generic => GENERIC_CONNECTIONS,
    };
    Demand {
        components: pods
            .iter()
            .map(|(name, count)| (name.clone(), *count, each))
            .collect(),
        pool_max,
    }
}

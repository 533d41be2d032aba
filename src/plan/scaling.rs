//! How many pods a component has, and who says so.

use serde::Serialize;

use super::profile;
use crate::api::spec::{Component, Profile, ScalingBehavior, ScalingMode};

/// Number of pods.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Replicas {
    /// The operator keeps this number.
    Fixed(i32),
    /// An autoscaler keeps the number between bounds; the operator sets it once, at creation.
    Autoscaled(Autoscaling),
    /// Somebody else sets the number; the operator sets it once, at creation.
    Manual {
        /// Number at creation.
        initial: i32,
    },
}

/// What the autoscaler is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Autoscaling {
    /// Least number of pods.
    pub min: i32,
    /// Greatest number of pods.
    pub max: i32,
    /// CPU target in percent of the request.
    pub cpu: i32,
    /// Memory target in percent of the request.
    pub memory: i32,
    /// Speed in each direction.
    pub behavior: Option<ScalingBehavior>,
}

impl Replicas {
    /// The least number of pods that the component is meant to have.
    #[must_use]
    pub const fn minimum(&self) -> i32 {
        match self {
            Self::Fixed(count) | Self::Manual { initial: count } => *count,
            Self::Autoscaled(autoscaling) => autoscaling.min,
        }
    }
}

pub(super) fn plan(profile: Profile, component: &Component) -> Replicas {
    let defaults = profile::defaults(profile);
    let scaling = component.scaling.clone().unwrap_or_default();
    // A bound that the user set wins over a default bound that contradicts it.
    let min = scaling.min_replicas.unwrap_or_else(|| {
        defaults
            .min_replicas
            .min(scaling.max_replicas.unwrap_or(i32::MAX))
    });
    let max = scaling
        .max_replicas
        .unwrap_or(defaults.max_replicas)
        .max(min);
    match scaling.mode.unwrap_or_default() {
        ScalingMode::Manual => Replicas::Manual { initial: min },
        ScalingMode::Auto if min == max => Replicas::Fixed(min),
        ScalingMode::Auto => Replicas::Autoscaled(Autoscaling {
            min,
            max,
            cpu: scaling
                .cpu
                .map_or(profile::CPU_TARGET, |target| target.average_utilization),
            memory: scaling
                .memory
                .map_or(profile::MEMORY_TARGET, |target| target.average_utilization),
            behavior: scaling.behavior,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::spec::Scaling;

    fn with(scaling: Option<Scaling>, profile: Profile) -> Replicas {
        plan(
            profile,
            &Component {
                scaling,
                ..Component::default()
            },
        )
    }

    #[test]
    fn production_scales_from_3_to_10_at_70_percent_cpu_and_80_percent_memory() {
        let expected = Autoscaling {
            min: 3,
            max: 10,
            cpu: 70,
            memory: 80,
            behavior: None,
        };
        assert_eq!(
            with(None, Profile::Production),
            Replicas::Autoscaled(expected)
        );
    }

    #[test]
    fn one_bound_of_the_user_moves_the_default_of_the_other() {
        let only_max = Scaling {
            max_replicas: Some(2),
            ..Scaling::default()
        };
        assert_eq!(
            with(Some(only_max), Profile::Production),
            Replicas::Fixed(2)
        );
        let only_min = Scaling {
            min_replicas: Some(5),
            ..Scaling::default()
        };
        assert_eq!(
            with(Some(only_min), Profile::Development),
            Replicas::Fixed(5)
        );
    }

    #[test]
    fn manual_starts_at_the_minimum_and_has_no_autoscaler() {
        let manual = Scaling {
            mode: Some(ScalingMode::Manual),
            ..Scaling::default()
        };
        assert_eq!(
            with(Some(manual), Profile::Staging),
            Replicas::Manual { initial: 2 }
        );
    }
}

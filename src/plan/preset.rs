//! What a kind of program needs: port, probes, shutdown, user, resources.
//!
//! The values of `Backstage` were established by running it: a failed start never exits by itself and keeps answering its
//! liveness check, so the startup probe asks for readiness; a pod killed during its first migrations leaves a lock behind
//! that nothing removes, so a start gets 15 minutes and the grace period is longer than that.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity as KubeQuantity,
};
use serde::Serialize;

use super::SpecProblem;
use crate::api::{
    spec::{Component, Preset, ResourceList, Size},
    values::Quantity,
};

/// Seconds that a pod goes on serving after it was told to end, until no proxy sends it requests any more.
pub const DRAIN_SECONDS: u32 = 15;
/// Grace period of a program that ends within half a minute after draining.
const GRACE_SECONDS: u32 = 60;

/// Defaults of a preset.
pub struct Defaults {
    /// Port of the program.
    pub port: u16,
    /// Path of the liveness check.
    pub liveness: &'static str,
    /// Path of the readiness check.
    pub readiness: &'static str,
    /// Longest start in seconds.
    pub startup_seconds: u32,
    /// Numeric user of the image, where the image names it only by name.
    pub run_as_user: Option<i64>,
    /// Whether two first starts at once can do damage.
    pub first_start_gate: bool,
}

/// The defaults of a preset.
#[must_use]
pub const fn defaults(preset: Preset) -> Defaults {
    match preset {
        Preset::Backstage => Defaults {
            port: 7007,
            liveness: "/.backstage/health/v1/liveness",
            readiness: "/.backstage/health/v1/readiness",
            startup_seconds: 15 * 60,
            // The template's image says `USER node`, which is 1000; Kubernetes cannot tell that a name is not root.
            run_as_user: Some(1000),
            first_start_gate: true,
        },
        Preset::Generic => Defaults {
            port: 8000,
            liveness: "/health",
            readiness: "/health",
            startup_seconds: 5 * 60,
            run_as_user: None,
            first_start_gate: false,
        },
    }
}

/// Health checks of a component.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Probes {
    /// Path of the liveness check.
    pub liveness: String,
    /// Path of the readiness and startup checks.
    pub readiness: String,
    /// Longest start in seconds.
    pub startup_seconds: u32,
}

/// How a pod ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shutdown {
    /// Seconds to wait before the program is told; `None`: the program itself goes on serving for a while.
    pub pre_stop_seconds: Option<u32>,
    /// Seconds until the pod is killed.
    pub grace_seconds: u32,
}

pub(super) fn probes(
    defaults: &Defaults,
    component: &Component,
    problems: &mut Vec<SpecProblem>,
) -> Probes {
    let probes = component.probes.clone().unwrap_or_default();
    let startup_seconds = probes.startup.map_or(defaults.startup_seconds, |startup| {
        if let Some(seconds @ 10..=7200) = startup.timeout.value().map(|timeout| timeout.as_secs())
        {
            u32::try_from(seconds).unwrap_or(u32::MAX)
        } else {
            problems.push(SpecProblem {
                field: format!("spec.components[{}].probes.startup.timeout", component.name),
                message: format!("{:?} is not from 10s to 2h", startup.timeout.0),
            });
            defaults.startup_seconds
        }
    });
    Probes {
        liveness: probes
            .liveness
            .map_or_else(|| defaults.liveness.into(), |probe| probe.path),
        readiness: probes
            .readiness
            .map_or_else(|| defaults.readiness.into(), |probe| probe.path),
        startup_seconds,
    }
}

pub(super) fn shutdown(preset: Preset, probes: &Probes) -> Shutdown {
    match preset {
        // Backstage drains by itself (serverShutdownDelay) and, told to end while it starts, first finishes its migrations.
        Preset::Backstage => Shutdown {
            pre_stop_seconds: None,
            grace_seconds: probes.startup_seconds + GRACE_SECONDS,
        },
        Preset::Generic => Shutdown {
            pre_stop_seconds: Some(DRAIN_SECONDS),
            grace_seconds: GRACE_SECONDS,
        },
    }
}

/// Requests and limits of a size: CPU request, memory request, memory limit.
const fn of_size(size: Size) -> (&'static str, &'static str, &'static str) {
    match size {
        Size::Small => ("250m", "512Mi", "1Gi"),
        Size::Medium => ("500m", "1Gi", "2Gi"),
        Size::Large => ("1", "2Gi", "4Gi"),
    }
}

pub(super) fn resources(
    size: Size,
    component: &Component,
    problems: &mut Vec<SpecProblem>,
) -> ResourceRequirements {
    let (cpu, memory, limit) = of_size(size);
    let own = component.resources.clone().unwrap_or_default();
    let (requests, limits): (ResourceList, ResourceList) = (
        own.requests.unwrap_or_default(),
        own.limits.unwrap_or_default(),
    );
    // A limit of the user's that is below the default request lowers the request: only one of them was meant.
    let default_request = |default: &str, limit: Option<&Quantity>| {
        let default = Quantity(default.into());
        match limit {
            Some(limit) if limit.value() < default.value() => limit.clone(),
            _ => default,
        }
    };
    let cpu_request = requests
        .cpu
        .unwrap_or_else(|| default_request(cpu, limits.cpu.as_ref()));
    let memory_request = requests
        .memory
        .clone()
        .unwrap_or_else(|| default_request(memory, limits.memory.as_ref()));
    let memory_limit = limits.memory.unwrap_or_else(|| {
        let default = Quantity(limit.into());
        // A request of the user's above the default limit raises the limit.
        if memory_request.value() > default.value() {
            memory_request.clone()
        } else {
            default
        }
    });

    for (what, request, limit) in [
        ("cpu", &cpu_request, limits.cpu.as_ref()),
        ("memory", &memory_request, Some(&memory_limit)),
    ] {
        let field = format!("spec.components[{}].resources", component.name);
        for quantity in [Some(request), limit].into_iter().flatten() {
            if quantity.value().is_none_or(|value| value <= 0.0) {
                problems.push(SpecProblem {
                    field: field.clone(),
                    message: format!("{:?} is no amount of {what}", quantity.0),
                });
            }
        }
        if let Some(limit) = limit
            && request.value() > limit.value()
        {
            problems.push(SpecProblem {
                field,
                message: format!(
                    "the {what} request {} is above the limit {}; raise limits.{what} or lower requests.{what}",
                    request.0, limit.0
                ),
            });
        }
    }

    let quantity = |value: Quantity| KubeQuantity(value.0);
    let mut limit_map = BTreeMap::from([("memory".to_owned(), quantity(memory_limit))]);
    if let Some(cpu) = limits.cpu {
        limit_map.insert("cpu".into(), quantity(cpu));
    }
    ResourceRequirements {
        claims: None,
        limits: Some(limit_map),
        requests: Some(BTreeMap::from([
            ("cpu".to_owned(), quantity(cpu_request)),
            ("memory".to_owned(), quantity(memory_request)),
        ])),
    }
}

/// The memory limit in bytes.
pub(super) fn memory_limit(resources: &ResourceRequirements) -> Option<f64> {
    let limit = resources.limits.as_ref()?.get("memory")?;
    Quantity(limit.0.clone()).value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::spec::Resources;

    fn component(resources: serde_json::Value) -> Component {
        Component {
            name: "api".into(),
            resources: serde_json::from_value::<Option<Resources>>(resources).unwrap(),
            ..Component::default()
        }
    }

    #[test]
    fn a_lower_limit_of_the_user_lowers_the_default_request() {
        let mut problems = Vec::new();
        let resources = resources(
            Size::Medium,
            &component(serde_json::json!({"limits": {"memory": "512Mi"}})),
            &mut problems,
        );
        assert_eq!(problems, []);
        assert_eq!(resources.requests.unwrap()["memory"].0, "512Mi");
    }

    #[test]
    fn a_request_above_the_limit_is_a_problem_with_its_field() {
        let mut problems = Vec::new();
        resources(
            Size::Small,
            &component(
                serde_json::json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
            ),
            &mut problems,
        );
        assert_eq!(problems[0].field, "spec.components[api].resources");
        assert!(problems[0].message.contains("2Gi is above the limit 1Gi"));
    }
}

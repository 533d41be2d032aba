//! How much of the latest work may be lost with the whole database, and what follows from it for PostgreSQL.

use std::time::Duration;

use super::{Identity, SpecProblem};
use crate::api::{
    database::DatabaseMode,
    spec::{PortalPlatform, PortalPlatformSpec},
};

/// Recovery point objective unless the user says otherwise.
const DEFAULT_RPO: Duration = Duration::from_secs(3600);
/// Longest time after which PostgreSQL finishes a segment of its log, so that it is archived.
const ARCHIVE_TIMEOUT: Duration = Duration::from_secs(300);

/// What of a portal's database is sampled to tell its recovery point, whatever else the plan says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Name of the Cluster.
    pub cluster: String,
    /// Recovery point objective.
    pub objective: Duration,
    /// Longest time after which PostgreSQL finishes a segment of its log.
    pub archive_timeout: Duration,
}

/// What is sampled of a portal; `None`: it has no backups.
#[must_use]
pub fn sampled(portal: &PortalPlatform) -> Option<Sampled> {
    let spec = &portal.spec;
    spec.backup.as_ref()?.destination.as_ref()?;
    let mode = spec.database.as_ref().and_then(|database| database.mode);
    (mode.unwrap_or_default() == DatabaseMode::Managed).then(|| Sampled {
        cluster: Identity::of(portal, &mut Vec::new()).database_name(),
        objective: of(spec),
        archive_timeout: chosen_timeout(spec)
            .and_then(seconds)
            .unwrap_or_else(|| archive_timeout(spec)),
    })
}

/// What the user set `archive_timeout` to.
fn chosen_timeout(spec: &PortalPlatformSpec) -> Option<&str> {
    let managed = spec.database.as_ref()?.managed.as_ref()?;
    managed
        .parameters
        .get("archive_timeout")
        .map(String::as_str)
}

/// The recovery point objective.
#[must_use]
pub fn of(spec: &PortalPlatformSpec) -> Duration {
    spec.backup
        .as_ref()
        .and_then(|backup| backup.objectives.as_ref()?.rpo.as_ref()?.value())
        .unwrap_or(DEFAULT_RPO)
}

/// The longest time after which a segment is finished: at most half of the recovery point objective.
pub(super) fn archive_timeout(spec: &PortalPlatformSpec) -> Duration {
    ARCHIVE_TIMEOUT.min(of(spec) / 2)
}

/// Refuses an `archive_timeout` with which the objective cannot be met.
pub(super) fn check_archive_timeout(spec: &PortalPlatformSpec, problems: &mut Vec<SpecProblem>) {
    let (Some(text), true) = (chosen_timeout(spec), spec.backup.is_some()) else {
        return;
    };
    let most = of(spec) / 2;
    if seconds(text).is_none_or(|chosen| chosen.is_zero() || chosen > most) {
        problems.push(SpecProblem {
            field: "spec.database.managed.parameters[archive_timeout]".into(),
            message: format!(
                "must be from 1s to {}s, half of the recovery point objective, and is {text:?}; lower it, or raise backup.objectives.rpo",
                most.as_secs()
            ),
        });
    }
}

/// A time as PostgreSQL reads it where the unit is seconds.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(unit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_postgresql_reads_it() {
        for (text, expected) in [
            ("300", Some(300)),
            ("30s", Some(30)),
            ("5min", Some(300)),
            ("2 h", Some(7200)),
            ("5m", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(seconds(text), expected.map(Duration::from_secs), "{text}");
        }
    }
}

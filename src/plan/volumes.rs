//! Volumes of a database: how large they are to be, and that they never shrink.

use super::{SpecProblem, database::Managed};
use crate::api::values::Quantity;

impl Managed {
    /// Size of the data volumes. A volume never shrinks, so that of a database which is taken back counts.
    #[must_use]
    pub fn data_volume(&self) -> &Quantity {
        larger(Some(&self.storage), self.live_storage.as_ref()).unwrap_or(&self.storage)
    }

    /// Size of the volumes for the write-ahead log, if there are any.
    #[must_use]
    pub fn wal_volume(&self) -> Option<&Quantity> {
        larger(self.wal_storage.as_ref(), self.live_wal_storage.as_ref())
    }
}

fn larger<'a>(wanted: Option<&'a Quantity>, live: Option<&'a Quantity>) -> Option<&'a Quantity> {
    match (wanted, live) {
        (Some(wanted), Some(live)) if is_smaller(wanted, live) => Some(live),
        (wanted, live) => wanted.or(live),
    }
}

fn is_smaller(one: &Quantity, other: &Quantity) -> bool {
    one.value()
        .zip(other.value())
        .is_some_and(|(one, other)| one < other)
}

/// A size of the spec. Refuses one that is none, or less than what is there.
pub(super) fn plan(
    field: &str,
    value: Option<Quantity>,
    live: Option<&Quantity>,
    problems: &mut Vec<SpecProblem>,
) -> Option<Quantity> {
    let value = value?;
    let message = if value.value().is_none_or(|bytes| bytes <= 0.0) {
        format!("{:?} is no size", value.0)
    } else if let Some(live) = live.filter(|live| is_smaller(&value, live)) {
        format!(
            "the database has volumes of {}, which cannot shrink to {}; set {} or more, or leave it out",
            live.0, value.0, live.0
        )
    } else {
        return Some(value);
    };
    problems.push(SpecProblem {
        field: format!("spec.database.managed.storage.{field}"),
        message,
    });
    Some(value)
}

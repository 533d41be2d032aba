//! A schedule of five fields, in UTC.

use croner::{Cron, parser::CronParser};
use k8s_openapi::jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Serialize, Serializer};

/// A schedule such as `0 2 * * *`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let cron = CronParser::new()
            .parse(text)
            .map_err(|error| error.to_string())?;
        if text.split_whitespace().count() != 5 {
            return Err("five fields are needed".into());
        }
        let schedule = Self {
            text: text.to_owned(),
            cron,
        };
        match schedule.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err("it never comes, such as a 30 February".into()),
        }
    }

    /// The schedule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The next time after a moment.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment: DateTime = TimeZone::UTC.to_datetime(moment);
        let next = self.cron.find_next_occurrence(&moment, false).ok()?;
        TimeZone::UTC.to_timestamp(next).ok()
    }

    /// One and a half periods after a moment: by then a run that was due since has ended, if all went well.
    #[must_use]
    pub fn overdue_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let next = self.next_after(moment)?;
        let following = self.next_after(next)?;
        Some(next + following.duration_since(next) / 2)
    }

    /// How often the schedule came between two moments, counted up to `most`.
    #[must_use]
    pub fn count(&self, from: Timestamp, until: Timestamp, most: i32) -> i32 {
        let mut moment = from;
        for count in 0..most {
            match self.next_after(moment) {
                Some(next) if next <= until => moment = next,
                _ => return count,
            }
        }
        most
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_next_time_is_after_the_moment_itself() {
        let daily = Schedule::parse("0 2 * * *").unwrap();
        let two = at("2026-11-21T02:00:00Z");
        assert_eq!(daily.next_after(two), Some(at("2026-11-22T02:00:00Z")));
    }

    #[test]
    fn a_daily_run_is_overdue_half_a_day_after_it_was_due() {
        let daily = Schedule::parse("0 2 * * *").unwrap();
        let done = at("2026-11-21T02:00:40Z");
        assert_eq!(daily.overdue_after(done), Some(at("2026-11-22T14:00:00Z")));
    }

    #[test]
    fn months_are_counted_up_to_the_number_that_is_kept() {
        let monthly = Schedule::parse("0 3 1 * *").unwrap();
        let from = at("2025-01-15T00:00:00Z");
        assert_eq!(monthly.count(from, at("2025-02-01T02:59:59Z"), 12), 0);
        assert_eq!(monthly.count(from, at("2025-04-02T00:00:00Z"), 12), 3);
        assert_eq!(monthly.count(from, at("2027-04-02T00:00:00Z"), 12), 12);
    }

    #[test]
    fn what_never_comes_or_is_no_schedule_is_refused() {
        for text in ["0 2 30 2 *", "0 2 * *", "61 2 * * *", "0 2 * * * *", "x"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}

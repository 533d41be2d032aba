//! What the primary says of its write-ahead log (WAL), in numbers.

use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of one WAL segment, as `initdb` makes them unless told otherwise.
const SEGMENT: u64 = 16 << 20;

/// A position in the WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Reads a position as PostgreSQL writes it: `0/7FEECB8`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('/')?;
        Some(Self((u64::from(hex(high)?) << 32) + u64::from(hex(low)?)))
    }

    /// Where the segment that holds this position starts.
    #[must_use]
    pub const fn segment_start(self) -> Self {
        Self(self.0 - self.0 % SEGMENT)
    }

    /// Where the segment that ends here starts.
    #[must_use]
    pub(super) const fn segment_before(self) -> Self {
        Self(self.0.saturating_sub(SEGMENT))
    }
}

/// What the name of the file archived last says about the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The timeline of the file.
    pub timeline: u32,
    /// The archive has all finished segments of this timeline up to here.
    pub end: Lsn,
    /// Whether it was the unfinished segment with which a promotion left the timeline.
    pub partial: bool,
}

impl Archived {
    /// Reads a file name. `None` where it says nothing about segments, as that of a timeline history.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (segment, suffix) = name.split_once('.').unwrap_or((name, ""));
        let (timeline, log, number) = (segment.get(..8)?, segment.get(8..16)?, segment.get(16..)?);
        let (timeline, log, number) = (hex(timeline)?, hex(log)?, hex(number)?);
        if segment.len() != 24 || u64::from(number) > u64::from(u32::MAX) / SEGMENT {
            return None;
        }
        let start = (u64::from(log) << 32) + u64::from(number) * SEGMENT;
        let end = match suffix {
            "" => start.checked_add(SEGMENT)?,
            // Recovery reads no partial segment, and a backup label is no segment: both come after the segment before.
            "partial" => start,
            _ if is_backup_label(suffix) => start,
            _ => return None,
        };
        Some(Self {
            timeline,
            end: Lsn(end),
            partial: suffix == "partial",
        })
    }
}

/// The timeline whose history a file tells, by its name.
fn timeline_history(name: &str) -> Option<u32> {
    let timeline = name.strip_suffix(".history")?;
    (timeline.len() == 8).then(|| hex(timeline))?
}

fn is_backup_label(suffix: &str) -> bool {
    suffix
        .strip_suffix(".backup")
        .is_some_and(|offset| offset.len() == 8 && hex(offset).is_some())
}

/// A number of hexadecimal digits only: the standard library would also take a sign.
fn hex(digits: &str) -> Option<u32> {
    digits
        .bytes()
        .all(|digit| digit.is_ascii_hexdigit())
        .then(|| u32::from_str_radix(digits, 16).ok())?
}

/// One answer of the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// When it was asked: what was committed by then lies before `current`.
    pub at: Timestamp,
    /// The timeline it writes.
    pub timeline: u32,
    /// The end of what it has written.
    pub current: Lsn,
    /// What it archived last, where it knows.
    pub archived: Option<Archived>,
    /// The timeline whose history it archived last, where that is what it archived last.
    pub history_archived: Option<u32>,
    /// Files that wait to be archived.
    pub ready_files: u32,
    /// Whether a base backup was running, of which the answer itself says nothing.
    pub backup_under_way: bool,
}

/// The keys of `/pg/status` that matter here. A key that is absent means 0, false or empty.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    is_primary: bool,
    #[serde(rename = "timeLineID")]
    timeline: u32,
    current_lsn: String,
    #[serde(rename = "lastArchivedWAL")]
    last_archived_wal: String,
    ready_wal_files: u32,
}

impl Reading {
    /// Reads an answer of `/pg/status`. `None` where it is not that of a primary that knows its position.
    #[must_use]
    pub fn parse(at: Timestamp, answer: &Value, backup_under_way: bool) -> Option<Self> {
        let answer = Answer::deserialize(answer).ok()?;
        let current = Lsn::parse(&answer.current_lsn)?;
        (answer.is_primary && answer.timeline > 0 && current > Lsn(0)).then(|| Self {
            at,
            timeline: answer.timeline,
            current,
            archived: Archived::parse(&answer.last_archived_wal),
            history_archived: timeline_history(&answer.last_archived_wal),
            ready_files: answer.ready_wal_files,
            backup_under_way,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn archived(name: &str) -> Option<(u32, u64, bool)> {
        Archived::parse(name).map(|archived| (archived.timeline, archived.end.0, archived.partial))
    }

    #[test]
    fn positions_are_read_as_postgresql_writes_them() {
        assert_eq!(Lsn::parse("0/7FEECB8"), Some(Lsn(0x7FE_ECB8)));
        assert_eq!(Lsn::parse("1A/0"), Some(Lsn(0x1A_0000_0000)));
        for wrong in ["", "/", "1", "0/", "0/+1", "0/123456789", "x/1"] {
            assert_eq!(Lsn::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_position_knows_the_start_of_its_segment() {
        assert_eq!(Lsn(0x7FE_ECB8).segment_start(), Lsn(0x700_0000));
        assert_eq!(Lsn(0x700_0000).segment_start(), Lsn(0x700_0000));
    }

    #[test]
    fn an_archived_segment_counts_up_to_its_end() {
        assert_eq!(
            archived("000000010000000000000006"),
            Some((1, 0x700_0000, false))
        );
        assert_eq!(
            archived("0000000A00000002000000FF"),
            Some((10, 0x3_0000_0000, false))
        );
    }

    #[test]
    fn partial_segments_and_backup_labels_count_as_the_segment_before() {
        assert_eq!(
            archived("00000001000000000000001A.partial"),
            Some((1, 0x1A00_0000, true))
        );
        assert_eq!(
            archived("000000010000000000000005.00000028.backup"),
            Some((1, 0x500_0000, false))
        );
    }

    #[test]
    fn names_of_other_files_say_nothing() {
        for name in [
            "",
            "00000002.history",
            "00000001000000000000001",
            "0000000100000000000000010",
            "00000001000000000000001G",
            "+00000010000000000000001",
            // Only segments of another size have such a number, or a position that no longer fits.
            "000000010000000000000100",
            "00000001FFFFFFFF000000FF",
            "000000010000000000000001.tmp",
            "000000010000000000000001.28.backup",
            "0000000100000000000000é1",
        ] {
            assert_eq!(archived(name), None, "{name}");
        }
    }

    #[test]
    fn the_history_of_a_timeline_is_known_by_its_name() {
        assert_eq!(timeline_history("0000000B.history"), Some(11));
        for other in ["", "0000000B", "B.history", "0000000B0000000000000015"] {
            assert_eq!(timeline_history(other), None, "{other}");
        }
    }

    #[test]
    fn an_answer_of_a_primary_is_read() {
        let answer = json!({"isPrimary": true, "timeLineID": 2, "currentLsn": "0/1AF50470",
            "lastArchivedWAL": "000000020000000000000019", "readyWalFiles": 3, "currentWAL": "x"});
        let reading = Reading::parse(Timestamp::UNIX_EPOCH, &answer, true).unwrap();
        assert_eq!(
            reading,
            Reading {
                at: Timestamp::UNIX_EPOCH,
                timeline: 2,
                current: Lsn(0x1AF5_0470),
                archived: Archived::parse("000000020000000000000019"),
                history_archived: None,
                ready_files: 3,
                backup_under_way: true,
            }
        );
    }

    #[test]
    fn absent_keys_mean_nothing_archived_and_nothing_ready() {
        let answer = json!({"isPrimary": true, "timeLineID": 1, "currentLsn": "0/1"});
        let reading = Reading::parse(Timestamp::UNIX_EPOCH, &answer, false).unwrap();
        assert_eq!((reading.archived, reading.ready_files), (None, 0));
    }

    #[test]
    fn answers_without_role_timeline_or_position_are_no_readings() {
        for answer in [
            json!({"timeLineID": 1, "currentLsn": "0/1"}),
            json!({"isPrimary": false, "timeLineID": 1, "currentLsn": "0/1"}),
            json!({"isPrimary": true, "currentLsn": "0/1"}),
            json!({"isPrimary": true, "timeLineID": 1}),
            json!({"isPrimary": true, "timeLineID": 1, "currentLsn": "0/0"}),
            json!({"isPrimary": true, "timeLineID": 1, "currentLsn": "0/1", "readyWalFiles": -1}),
            json!("no object"),
        ] {
            assert_eq!(
                Reading::parse(Timestamp::UNIX_EPOCH, &answer, false),
                None,
                "{answer}"
            );
        }
    }
}

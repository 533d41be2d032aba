//! How much committed work a portal would lose if its database vanished now: an upper bound, from what the primary says of itself.
//!
//! What was committed by the time of a [`Reading`] lies before its position. Once the archive has all up to that position,
//! and no gap before it, the work is safe. The bound is never too small; where little is known it is too large.

mod wal;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub use wal::{Archived, Lsn, Reading};

/// Positions kept at most. With fewer of them the bound is coarser.
const MOST_SAMPLES: usize = 256;

/// What the readings so far say about the archive.
#[derive(Clone, Debug, Default)]
pub struct History {
    covered: Option<Timestamp>,
    /// That of the newest reading, or of the process before.
    timeline: Option<u32>,
    /// The archive has this timeline up to here.
    archived: Option<Lsn>,
    /// No commit before this position is missing in the archive, though it need not be archived itself.
    safe: Option<Lsn>,
    /// The newest safe one, and those after it.
    samples: Vec<Sample>,
    unchanged: Option<Unchanged>,
    /// The base backup in use may end as late as here. On a timeline that began earlier it would be of no use.
    base: Option<Lsn>,
    gap: Option<Gap>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Timestamp,
    current: Lsn,
}

/// Since when the file archived last is the same.
#[derive(Clone, Copy, Debug)]
struct Unchanged {
    archived: Option<Archived>,
    since: Timestamp,
}

/// Segments that may be missing in the archive for ever: a promoted standby does not archive what its dead primary had finished
/// and not yet archived. Recovery gets no further than there, unless from a base backup of the time after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Everything committed up to then is before the gap. `None` where that was not known.
    pub since: Option<Timestamp>,
    /// When the first new timeline was seen.
    pub noticed: Timestamp,
    /// The last timeline that is known to be whole.
    before: u32,
    /// The archive has the timeline before up to here, if that is known and it is the one that this timeline continues.
    reached: Option<Lsn>,
    /// This timeline began at or after here, if the new primary has told.
    began: Option<Lsn>,
    /// Start of the segment in which this timeline began, if the next reading confirms it.
    supposed: Option<Lsn>,
    /// A backup that was complete by then may have begun before the gap.
    too_early: Timestamp,
    /// So may the next one to be complete, as it was running when the new timeline was seen.
    skip_next: bool,
    /// When a backup from after the gap was complete. It is of use once what was written until then is archived, too.
    backed_up: Option<Timestamp>,
}

impl History {
    /// Goes on from what an earlier process wrote down of [`History::covered`] and [`History::timeline`].
    #[must_use]
    pub fn resume(covered: Option<Timestamp>, timeline: Option<u32>) -> Self {
        Self {
            covered,
            timeline,
            ..Self::default()
        }
    }

    /// Everything committed up to then can be recovered from the archive.
    #[must_use]
    pub const fn covered(&self) -> Option<Timestamp> {
        self.covered
    }

    /// Commits of at most this last time would be lost now. `None` where nothing is known yet.
    #[must_use]
    pub fn exposure(&self, now: Timestamp) -> Option<SignedDuration> {
        let covered = self.covered?;
        Some(now.duration_since(covered).max(SignedDuration::ZERO))
    }

    /// The newest timeline up to which the archive is known to have no gap.
    #[must_use]
    pub fn timeline(&self) -> Option<u32> {
        self.gap
            .as_ref()
            .map_or(self.timeline, |gap| Some(gap.before))
    }

    /// The gap that is not yet proven to be none, nor behind a base backup.
    #[must_use]
    pub const fn gap(&self) -> Option<&Gap> {
        self.gap.as_ref()
    }

    /// Takes in what the primary said. PostgreSQL finishes a segment with a commit in it after `archive_timeout`; zero is never.
    pub fn observe(&mut self, reading: &Reading, archive_timeout: SignedDuration) {
        let known = self.timeline.unwrap_or(reading.timeline);
        // A deposed primary, or a database set back to an earlier state, says nothing about what is in the archive now.
        let foreign = reading.timeline < known
            || (reading.timeline == known && Some(reading.current) < self.archived);
        if foreign || reading.current == Lsn(0) {
            return;
        }
        self.not_after(reading.at);
        if self.samples.is_empty() {
            self.base = Some(reading.current);
        }
        if reading.timeline > known {
            self.change_timeline(known, reading);
        }
        self.timeline = Some(reading.timeline);
        self.keep(Sample {
            at: reading.at,
            current: reading.current,
        });
        self.archived = self.archived.max(self.newly_archived(reading));
        self.safe = self
            .safe
            .max(self.archived)
            .max(self.quiet_end(reading, archive_timeout));
        self.settle();
    }

    /// Takes in when the newest base backup was complete. It may be told again.
    pub fn base_backup(&mut self, completed: Timestamp) {
        let Some(gap) = self.gap.as_mut().filter(|gap| completed > gap.too_early) else {
            return;
        };
        if gap.skip_next {
            gap.skip_next = false;
            gap.too_early = completed;
        } else if gap.backed_up.is_none() {
            gap.backed_up = Some(completed);
            self.settle();
        }
    }

    /// Takes in that the primary before the one failover that made the gap streams from the new one. `CloudNativePG` makes a former
    /// primary archive all it had finished before that.
    pub fn former_primary_rejoined(&mut self) {
        let Some(gap) = &self.gap else {
            return;
        };
        let one_failover = gap.reached.is_some();
        let base_is_before = self
            .base
            .is_none_or(|base| gap.began.is_some_and(|began| began >= base));
        if one_failover && base_is_before {
            self.base = None;
            self.gap = None;
            self.settle();
        }
    }

    /// If the clock was set back, earlier times are of a clock that was ahead: they were not after this one.
    fn not_after(&mut self, at: Timestamp) {
        let earlier = |time: &mut Timestamp| *time = at.min(*time);
        self.covered.iter_mut().for_each(earlier);
        self.samples
            .iter_mut()
            .map(|sample| &mut sample.at)
            .for_each(earlier);
        self.unchanged
            .iter_mut()
            .map(|name| &mut name.since)
            .for_each(earlier);
    }

    /// Positions of one timeline mean nothing on another. What the new one lacks is not known yet.
    fn change_timeline(&mut self, known: u32, reading: &Reading) {
        let earlier = self.gap.take();
        // Over an open gap, or over a timeline never seen, the end of the archive before says nothing.
        let reached = self
            .archived
            .filter(|_| earlier.is_none() && reading.timeline == known + 1);
        self.gap = Some(Gap {
            since: self.covered,
            noticed: earlier.as_ref().map_or(reading.at, |gap| gap.noticed),
            before: earlier.map_or(known, |gap| gap.before),
            reached,
            began: None,
            supposed: None,
            too_early: reading.at,
            skip_next: reading.backup_under_way,
            backed_up: None,
        });
        self.archived = None;
        self.safe = None;
        self.samples.clear();
        self.unchanged = None;
    }

    /// Adds a sample. One that is missing can only make what is covered earlier, least so where they lie closest.
    fn keep(&mut self, sample: Sample) {
        self.samples.push(sample);
        if self.samples.len() > MOST_SAMPLES {
            let around = |&index: &usize| {
                let (before, after) = (&self.samples[index - 1], &self.samples[index + 1]);
                after.at.duration_since(before.at)
            };
            let closest = (1..MOST_SAMPLES).min_by_key(around);
            closest.map(|index| self.samples.remove(index));
        }
    }

    /// Up to where this timeline is archived, by this reading, which may also prove that nothing before it is missing.
    fn newly_archived(&mut self, reading: &Reading) -> Option<Lsn> {
        let own = reading
            .archived
            .filter(|archived| archived.timeline == reading.timeline)
            .map(|archived| archived.end);
        let Some(Gap {
            before,
            reached: Some(reached),
            ..
        }) = self.gap
        else {
            return own;
        };
        let partial = reading
            .archived
            .filter(|archived| archived.partial && archived.timeline == before)
            .map(|archived| archived.end);
        let start = partial.or_else(|| self.first_segment(reading));
        if let Some(gap) = &mut self.gap {
            gap.began = gap.began.max(start);
        }
        // The timeline began in the segment that starts here, and at the latest in the one now written or in one that is archived.
        let written = Some(reading.current.segment_start());
        let starts = match self.base {
            Some(base) => [start.filter(|start| *start >= base), None, None],
            None => [start, written, own.map(Lsn::segment_before)],
        };
        if starts.into_iter().flatten().all(|start| start > reached) {
            return own;
        }
        self.base = None;
        self.gap = None;
        own.max(start)
    }

    /// Start of the segment in which this timeline began, where no partial one tells it because there is none.
    ///
    /// A new primary archives the history of its timeline first, then the partial segment. If nothing waits behind the history, no
    /// segment is finished yet, and the one now written is the first. The name and the number of those that wait are not of one moment:
    /// the same name in the next reading shows that nothing was archived in between.
    fn first_segment(&mut self, reading: &Reading) -> Option<Lsn> {
        let gap = self.gap.as_mut()?;
        let history_is_last = reading.history_archived == Some(reading.timeline);
        let confirmed = gap.supposed.filter(|_| history_is_last);
        gap.supposed =
            (history_is_last && reading.ready_files == 0).then(|| reading.current.segment_start());
        confirmed
    }

    /// A position before which no commit waits for the archive: PostgreSQL would have finished its segment by now.
    ///
    /// A crash would begin the time anew. It also empties the statistics, so that the name archived last does not stay the same.
    fn quiet_end(&mut self, reading: &Reading, archive_timeout: SignedDuration) -> Option<Lsn> {
        let since = match self.unchanged {
            Some(unchanged) if unchanged.archived == reading.archived => unchanged.since,
            _ => {
                self.unchanged = Some(Unchanged {
                    archived: reading.archived,
                    since: reading.at,
                });
                reading.at
            }
        };
        let known = reading.archived.is_some() && reading.ready_files == 0;
        if !known || archive_timeout <= SignedDuration::ZERO {
            return None;
        }
        let long = archive_timeout
            .saturating_mul(2)
            .saturating_add(SignedDuration::from_secs(60));
        self.samples
            .iter()
            .filter(|sample| sample.at >= since && reading.at.duration_since(sample.at) >= long)
            .map(|sample| sample.current)
            .max()
    }

    /// Moves to the newest safe sample, and past the gap if a backup allows it.
    fn settle(&mut self) {
        let is_safe = |sample: &Sample| Some(sample.current) <= self.safe;
        let Some(newest) = self.samples.iter().rposition(is_safe) else {
            return;
        };
        self.samples.drain(..newest);
        let Sample { at, current } = self.samples[0];
        let backed_up = self.gap.as_ref().and_then(|gap| gap.backed_up);
        if backed_up.is_some_and(|completed| at > completed && Some(current) <= self.archived) {
            self.gap = None;
            self.base = Some(current);
        }
        if self.gap.is_none() {
            self.covered = self.covered.max(Some(at));
        }
    }
}

#[cfg(test)]
mod tests;

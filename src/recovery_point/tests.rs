//! Each rule of the bound by itself, in one place although long: that they hold together is shown on random histories.

use super::*;

const TIMEOUT: SignedDuration = SignedDuration::from_secs(300);
const SEGMENT: u64 = 16 << 20;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

/// A position in the middle of a segment.
fn within(segment: u64) -> Lsn {
    Lsn(segment * SEGMENT + SEGMENT / 2)
}

fn whole(timeline: u32, segment: u64) -> Option<Archived> {
    Archived::parse(&format!("{timeline:08X}{:08X}{segment:08X}", 0))
}

fn partial(timeline: u32, segment: u64) -> Option<Archived> {
    Archived::parse(&format!("{timeline:08X}{:08X}{segment:08X}.partial", 0))
}

fn reading(seconds: i64, timeline: u32, current: Lsn, archived: Option<Archived>) -> Reading {
    Reading {
        at: at(seconds),
        timeline,
        current,
        archived,
        history_archived: None,
        ready_files: 0,
        backup_under_way: false,
    }
}

/// A history of these readings: second, timeline, position and file archived last.
fn seen(readings: &[(i64, u32, Lsn, Option<Archived>)]) -> History {
    let mut history = History::default();
    see(&mut history, readings);
    history
}

fn see(history: &mut History, readings: &[(i64, u32, Lsn, Option<Archived>)]) {
    for &(seconds, timeline, current, archived) in readings {
        history.observe(&reading(seconds, timeline, current, archived), TIMEOUT);
    }
}

/// Segment 5 of timeline 1 is archived, then timeline 2 is seen first at second 100, in segment 8.
fn with_gap() -> History {
    seen(&[
        (10, 1, within(5), None),
        (20, 1, within(6), whole(1, 5)),
        (100, 2, within(8), None),
    ])
}

#[test]
fn nothing_is_known_without_readings() {
    let history = History::default();
    assert_eq!((history.covered(), history.timeline()), (None, None));
    assert_eq!(history.exposure(at(5)), None);
}

#[test]
fn the_newest_position_in_the_archive_is_covered() {
    let history = seen(&[
        (10, 1, within(5), whole(1, 4)),
        (20, 1, within(5), whole(1, 4)),
        (30, 1, within(6), whole(1, 5)),
    ]);
    assert_eq!(history.covered(), Some(at(20)));
    assert_eq!(
        history.exposure(at(35)),
        Some(SignedDuration::from_secs(15))
    );
}

#[test]
fn all_is_covered_at_the_very_end_of_the_archive_and_not_a_byte_after() {
    let end = Lsn(6 * SEGMENT);
    assert_eq!(seen(&[(10, 1, end, whole(1, 5))]).covered(), Some(at(10)));
    let after = Lsn(6 * SEGMENT + 1);
    assert_eq!(seen(&[(10, 1, after, whole(1, 5))]).covered(), None);
}

#[test]
fn an_archive_ahead_of_the_position_covers_it() {
    assert_eq!(
        seen(&[(10, 1, within(5), whole(1, 6))]).covered(),
        Some(at(10))
    );
}

#[test]
fn an_older_or_absent_name_does_not_shrink_the_archive() {
    let label = Archived::parse("000000010000000000000003.00000028.backup");
    for later in [None, label, whole(1, 2)] {
        let history = seen(&[
            (10, 1, Lsn(6 * SEGMENT), whole(1, 5)),
            (20, 1, Lsn(6 * SEGMENT), later),
        ]);
        assert_eq!(history.covered(), Some(at(20)), "{later:?}");
    }
}

#[test]
fn exposure_is_never_negative() {
    let history = History::resume(Some(at(100)), Some(1));
    assert_eq!(history.exposure(at(50)), Some(SignedDuration::ZERO));
}

#[test]
fn a_quiet_database_is_covered_though_its_segment_is_not_full() {
    let mut history = seen(&[
        (10, 1, within(5), whole(1, 4)),
        (669, 1, within(5), whole(1, 4)),
    ]);
    assert_eq!(history.covered(), None);
    see(&mut history, &[(670, 1, within(5), whole(1, 4))]);
    assert_eq!(history.covered(), Some(at(670)));
    see(&mut history, &[(680, 1, within(5), whole(1, 4))]);
    assert_eq!(history.covered(), Some(at(680)));
    see(&mut history, &[(690, 1, within(6), whole(1, 4))]);
    assert_eq!(history.covered(), Some(at(680)));
}

#[test]
fn a_database_is_not_quiet_after_a_crash_nor_with_files_waiting_nor_without_a_timeout() {
    let quiet = [
        (10, 1, within(5), whole(1, 4)),
        (700, 1, within(5), whole(1, 4)),
    ];
    assert_eq!(seen(&quiet).covered(), Some(at(700)));

    let crashed = seen(&[quiet[0], (300, 1, within(5), None), quiet[1]]);
    assert_eq!(crashed.covered(), None);
    let never_archived = seen(&[(10, 1, within(5), None), (700, 1, within(5), None)]);
    assert_eq!(never_archived.covered(), None);

    let mut waiting = seen(&quiet[..1]);
    let mut later = reading(700, 1, within(5), whole(1, 4));
    later.ready_files = 1;
    waiting.observe(&later, TIMEOUT);
    assert_eq!(waiting.covered(), None);

    let mut untimed = History::default();
    for (seconds, timeline, current, archived) in quiet {
        untimed.observe(
            &reading(seconds, timeline, current, archived),
            SignedDuration::ZERO,
        );
    }
    assert_eq!(untimed.covered(), None);
}

#[test]
fn the_old_timeline_covers_nothing_of_the_new_one() {
    let mut history = seen(&[
        (10, 1, within(5), None),
        (20, 1, within(7), whole(1, 6)),
        // The standby had less than the archive.
        (100, 2, within(6), partial(1, 6)),
    ]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(10))));
    see(
        &mut history,
        &[
            (110, 2, within(6), whole(1, 6)),
            (120, 2, within(7), partial(1, 6)),
        ],
    );
    assert_eq!(history.covered(), Some(at(10)));
    see(&mut history, &[(130, 2, within(7), whole(2, 6))]);
    assert_eq!(
        (history.covered(), history.timeline()),
        (Some(at(110)), Some(2))
    );
}

#[test]
fn a_new_timeline_has_a_gap_until_it_is_proven_to_have_none() {
    let mut history = with_gap();
    see(
        &mut history,
        &[
            (110, 2, within(9), whole(2, 8)),
            (120, 2, within(9), partial(1, 8)),
        ],
    );
    let gap = history.gap().unwrap();
    assert_eq!((gap.since, gap.noticed), (Some(at(10)), at(100)));
    assert_eq!(
        (history.covered(), history.timeline()),
        (Some(at(10)), Some(1))
    );
}

#[test]
fn a_partial_segment_right_after_the_archive_proves_that_there_is_no_gap() {
    let mut history = with_gap();
    see(&mut history, &[(110, 2, within(8), partial(1, 7))]);
    assert!(history.gap().is_some());
    see(&mut history, &[(120, 2, within(8), partial(1, 6))]);
    assert_eq!((history.gap(), history.timeline()), (None, Some(2)));
}

#[test]
fn a_new_segment_right_after_the_archive_proves_that_there_is_no_gap() {
    let mut history = with_gap();
    see(
        &mut history,
        &[
            (110, 2, within(8), partial(1, 6)),
            (120, 2, within(8), whole(2, 7)),
            (200, 3, within(9), None),
        ],
    );
    see(&mut history, &[(210, 3, within(10), whole(3, 9))]);
    assert!(history.gap().is_some());
    see(&mut history, &[(220, 3, within(10), whole(3, 8))]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(200))));
}

#[test]
fn a_backup_that_may_end_after_the_new_timeline_began_is_no_base_for_it() {
    for (segment, open) in [(8, true), (9, true), (10, false)] {
        let mut history = with_gap();
        history.base_backup(at(110));
        see(
            &mut history,
            &[
                (120, 2, within(9), whole(2, 8)),
                (130, 2, within(12), whole(2, 11)),
            ],
        );
        assert_eq!(history.gap(), None);
        see(
            &mut history,
            &[
                (200, 3, within(10), None),
                (210, 3, within(10), partial(2, segment)),
            ],
        );
        assert_eq!(history.gap().is_some(), open, "{segment}");
    }
}

#[test]
fn whole_segments_of_the_old_timeline_prove_nothing() {
    let mut history = with_gap();
    see(&mut history, &[(110, 2, within(8), whole(1, 5))]);
    assert!(history.gap().is_some());
}

#[test]
fn a_timeline_that_was_not_seen_may_hide_a_gap() {
    for (timeline, open) in [(2, false), (3, true)] {
        let history = seen(&[
            (10, 1, within(5), None),
            (20, 1, within(6), whole(1, 5)),
            (100, timeline, within(6), partial(1, 6)),
        ]);
        assert_eq!(history.gap().is_some(), open, "{timeline}");
    }
}

#[test]
fn a_backup_from_before_the_first_reading_is_no_base_for_a_timeline_that_may_have_begun_before() {
    let mut history = seen(&[
        (20, 1, within(6), whole(1, 5)),
        (100, 2, within(6), partial(1, 6)),
    ]);
    assert!(history.gap().is_some());
    history = seen(&[
        (20, 1, Lsn(6 * SEGMENT), whole(1, 5)),
        (100, 2, within(6), partial(1, 6)),
    ]);
    assert_eq!(history.gap(), None);
}

#[test]
fn a_base_backup_ends_a_gap_once_what_was_written_meanwhile_is_archived() {
    let mut history = with_gap();
    history.base_backup(at(100));
    see(&mut history, &[(150, 2, within(9), whole(2, 8))]);
    history.base_backup(at(200));
    assert_eq!(
        (history.gap().is_some(), history.covered()),
        (true, Some(at(10)))
    );
    see(
        &mut history,
        &[
            (210, 2, within(9), whole(2, 8)),
            (220, 2, within(10), whole(2, 9)),
        ],
    );
    assert_eq!((history.gap(), history.covered()), (None, Some(at(210))));
    assert_eq!(history.timeline(), Some(2));
}

#[test]
fn a_base_backup_needs_the_archive_also_where_the_database_is_quiet() {
    let mut history = with_gap();
    see(
        &mut history,
        &[
            (150, 2, within(9), whole(2, 8)),
            (800, 2, within(9), whole(2, 8)),
        ],
    );
    history.base_backup(at(805));
    see(&mut history, &[(810, 2, within(9), whole(2, 8))]);
    assert!(history.gap().is_some());
    see(&mut history, &[(820, 2, within(9), whole(2, 9))]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(820))));
}

#[test]
fn a_base_backup_that_may_have_begun_before_the_gap_does_not_end_it() {
    let mut history = seen(&[(20, 1, within(6), whole(1, 5))]);
    let mut first = reading(100, 2, within(8), None);
    first.backup_under_way = true;
    history.observe(&first, TIMEOUT);
    history.base_backup(at(200));
    history.base_backup(at(200));
    see(&mut history, &[(210, 2, Lsn(9 * SEGMENT), whole(2, 8))]);
    assert!(history.gap().is_some());
    history.base_backup(at(205));
    assert_eq!((history.gap(), history.covered()), (None, Some(at(210))));
}

#[test]
fn a_second_failover_keeps_the_oldest_gap() {
    let mut history = with_gap();
    history.base_backup(at(150));
    see(
        &mut history,
        &[(160, 2, within(9), whole(2, 8)), (200, 3, within(9), None)],
    );
    let gap = history.gap().unwrap();
    assert_eq!((gap.since, gap.noticed), (Some(at(10)), at(100)));
    assert_eq!(history.timeline(), Some(1));
    // Neither the archive of the second timeline nor a backup from before the third is enough.
    history.base_backup(at(199));
    see(
        &mut history,
        &[
            (210, 3, within(10), partial(2, 9)),
            (220, 3, within(10), whole(3, 9)),
        ],
    );
    assert!(history.gap().is_some());
    history.base_backup(at(215));
    see(&mut history, &[(230, 3, within(11), whole(3, 10))]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(220))));
}

#[test]
fn two_failovers_within_a_segment_leave_no_gap() {
    let history = seen(&[
        (10, 1, within(5), None),
        (20, 1, within(6), whole(1, 5)),
        (100, 2, within(6), partial(1, 6)),
        (200, 3, within(6), None),
    ]);
    assert_eq!((history.gap(), history.timeline()), (None, Some(3)));
}

#[test]
fn a_deposed_primary_and_a_database_set_back_are_ignored() {
    let mut history = seen(&[(20, 2, within(6), whole(2, 5))]);
    see(
        &mut history,
        &[
            (30, 1, within(5), whole(1, 9)),
            (40, 2, within(3), None),
            (50, 2, Lsn(0), None),
        ],
    );
    assert_eq!((history.covered(), history.timeline()), (None, Some(2)));
}

#[test]
fn a_history_goes_on_where_the_process_before_ended() {
    let mut history = History::resume(Some(at(10)), Some(2));
    assert_eq!(
        (history.covered(), history.timeline()),
        (Some(at(10)), Some(2))
    );
    see(&mut history, &[(100, 2, within(6), whole(2, 4))]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(10))));
    see(&mut history, &[(110, 2, within(7), whole(2, 6))]);
    assert_eq!(history.covered(), Some(at(100)));
}

#[test]
fn a_failover_between_two_processes_leaves_a_gap() {
    for covered in [None, Some(at(10))] {
        let mut history = History::resume(covered, Some(1));
        see(
            &mut history,
            &[
                (100, 2, within(6), partial(1, 6)),
                (110, 2, within(7), whole(2, 6)),
            ],
        );
        assert_eq!(history.gap().map(|gap| gap.since), Some(covered));
        assert_eq!((history.covered(), history.timeline()), (covered, Some(1)));
    }
}

#[test]
fn the_first_reading_of_all_opens_no_gap() {
    let history = seen(&[(10, 3, Lsn(6 * SEGMENT), whole(3, 5))]);
    assert_eq!((history.gap(), history.covered()), (None, Some(at(10))));
}

#[test]
fn a_clock_set_back_makes_what_is_covered_earlier() {
    let mut history = seen(&[
        (1000, 1, Lsn(6 * SEGMENT), whole(1, 5)),
        (1010, 1, within(6), whole(1, 5)),
    ]);
    see(&mut history, &[(500, 1, within(7), whole(1, 5))]);
    assert_eq!(history.covered(), Some(at(500)));
    see(&mut history, &[(510, 1, within(7), whole(1, 6))]);
    assert_eq!(history.covered(), Some(at(500)));
    assert_eq!(
        History::resume(Some(at(9)), None).exposure(at(12)),
        Some(SignedDuration::from_secs(3))
    );
}

#[test]
fn positions_kept_are_bounded_through_a_long_outage() {
    let mut history = seen(&[(0, 1, Lsn(SEGMENT), whole(1, 0))]);
    for second in 1..20_000 {
        see(
            &mut history,
            &[(
                second,
                1,
                Lsn(SEGMENT + SEGMENT / 100 * u64::try_from(second).unwrap()),
                None,
            )],
        );
        assert!(history.samples.len() <= MOST_SAMPLES);
    }
    see(&mut history, &[(20_000, 1, within(200), whole(1, 99))]);
    // Segment 99 ends at second 9900.
    let covered = history.covered().unwrap();
    assert!(covered <= at(9_900) && covered > at(9_600), "{covered}");
}

#[test]
fn a_former_primary_that_rejoined_has_archived_what_it_had_finished() {
    let mut history = with_gap();
    see(&mut history, &[(110, 2, within(9), partial(1, 8))]);
    assert!(history.gap().is_some());
    history.former_primary_rejoined();
    assert_eq!((history.gap(), history.timeline()), (None, Some(2)));
    see(&mut history, &[(200, 2, within(10), whole(2, 9))]);
    assert_eq!(history.covered(), Some(at(110)));
}

#[test]
fn a_former_primary_says_nothing_of_a_base_backup_that_may_be_cut_off() {
    // The base backup in use may end in segment 5, and where the new timeline began is not known.
    let mut history = with_gap();
    history.former_primary_rejoined();
    assert!(history.gap().is_some());
}

#[test]
fn a_former_primary_fills_only_the_gap_of_its_own_failover() {
    let mut history = with_gap();
    see(
        &mut history,
        &[
            (110, 2, within(9), partial(1, 8)),
            (120, 3, within(10), partial(2, 9)),
        ],
    );
    history.former_primary_rejoined();
    assert!(history.gap().is_some());

    let mut history = History::resume(Some(at(5)), Some(1));
    see(&mut history, &[(100, 2, within(8), partial(1, 8))]);
    history.former_primary_rejoined();
    assert!(history.gap().is_some());
}

/// A reading after which the history of timeline 2 is what was archived last.
fn behind_history(history: &mut History, seconds: i64, current: Lsn, ready_files: u32) {
    let reading = Reading {
        history_archived: Some(2),
        ready_files,
        ..reading(seconds, 2, current, None)
    };
    history.observe(&reading, TIMEOUT);
}

#[test]
fn a_timeline_that_begins_with_a_segment_has_no_partial_one() {
    let known = [(10, 1, within(5), None), (20, 1, within(6), whole(1, 6))];
    let mut history = seen(&known);
    behind_history(&mut history, 100, within(7), 0);
    assert!(
        history.gap().is_some(),
        "the next reading has to confirm it"
    );
    behind_history(&mut history, 105, within(7), 1);
    assert_eq!((history.gap(), history.timeline()), (None, Some(2)));

    // What waits may be the partial segment, or one of several that are finished.
    let mut history = seen(&known);
    behind_history(&mut history, 100, within(7), 1);
    behind_history(&mut history, 105, within(7), 1);
    assert!(history.gap().is_some());
}

#[test]
fn a_former_primary_that_rejoined_fills_the_gap_before_a_timeline_that_begins_with_a_segment() {
    let mut history = with_gap();
    behind_history(&mut history, 105, within(8), 0);
    behind_history(&mut history, 110, within(8), 0);
    assert!(history.gap().is_some());
    history.former_primary_rejoined();
    assert_eq!((history.gap(), history.timeline()), (None, Some(2)));
}

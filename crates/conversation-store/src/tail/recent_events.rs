//! The newest events of a log, in memory while a turn appends to it, so that a reader that keeps up needs no query.
//!
//! It holds what was committed, byte for byte, or nothing. A reader that is further behind reads the log.

use std::collections::VecDeque;

use crate::Event;

/// The most events of one log: a reader that is further behind reads larger pieces from the log.
const MAX_EVENTS: usize = 64;

/// The most bytes of one log's events: 16 MiB for a thousand running turns with subscribers.
const MAX_BYTES: usize = 16 << 10;

/// What one commit added to a log.
#[derive(Debug, Default)]
pub(crate) struct LogGrowth {
    /// The log's new end.
    pub(crate) last_seq: u64,
    /// What was added, if it is worth keeping: empty when a turn has ended or the conversation was deleted.
    pub(crate) events: Vec<Event>,
}

/// The newest events of one log.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents {
    last_seq: Option<u64>,
    /// Without a gap and up to `last_seq`, or empty.
    events: VecDeque<Event>,
    bytes: usize,
}

impl RecentEvents {
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// Adds what was committed, and drops the oldest events over the limits.
    pub(crate) fn grow(&mut self, growth: LogGrowth) {
        let LogGrowth { last_seq, events } = growth;
        let follows = self
            .events
            .back()
            .zip(events.first())
            .is_none_or(|(last, first)| first.seq == last.seq + 1);
        let reaches_the_end = events.last().is_some_and(|event| event.seq == last_seq);
        if !(follows && reaches_the_end) {
            self.events = VecDeque::new();
            self.bytes = 0;
        }
        self.last_seq = Some(last_seq);
        if reaches_the_end {
            for event in events {
                self.bytes += bytes(&event);
                self.events.push_back(event);
            }
            self.trim();
        }
    }

    /// Returns the events with `seq > after`, at most `limit`. Returns `None` if one of them is no longer here.
    pub(crate) fn after(&self, after: u64, limit: usize) -> Option<Vec<Event>> {
        let first = self.events.front()?.seq;
        let skip = after.saturating_add(1).checked_sub(first)?;
        let skip = usize::try_from(skip).ok().filter(|skip| *skip <= self.events.len())?;
        Some(self.events.range(skip..).take(limit).cloned().collect())
    }

    fn trim(&mut self) {
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(event) = self.events.pop_front() else { return };
            self.bytes -= bytes(&event);
        }
    }
}

/// Returns what an event costs in memory.
fn bytes(event: &Event) -> usize {
    size_of::<Event>() + event.kind.len() + event.json.len() + event.turn_id.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::{LogGrowth, MAX_BYTES, MAX_EVENTS, RecentEvents};
    use crate::Event;

    fn growth(seqs: std::ops::RangeInclusive<u64>, json: &str) -> LogGrowth {
        let event = |seq| Event {
            seq,
            kind: "token".to_owned(),
            turn_id: Some("t".to_owned()),
            at_ms: 0,
            json: json.to_owned(),
        };
        LogGrowth {
            last_seq: *seqs.end(),
            events: seqs.map(event).collect(),
        }
    }

    #[track_caller]
    fn check(recent: &RecentEvents, after: u64, expected: Option<std::ops::RangeInclusive<u64>>) {
        let found = recent.after(after, 1_000);
        let found = found.map(|events| events.iter().map(|event| event.seq).collect::<Vec<_>>());
        assert_eq!(found, expected.map(Iterator::collect));
    }

    #[test]
    fn the_newest_events_are_kept() {
        let mut recent = RecentEvents::default();
        check(&recent, 0, None);
        recent.grow(growth(5..=6, "{}"));
        recent.grow(growth(7..=7, "{}"));
        check(&recent, 4, Some(5..=7));
        check(&recent, 6, Some(7..=7));
        assert_eq!(recent.after(4, 2).map(|events| events.len()), Some(2));
        // At the end there is nothing more; further back, or beyond the end, only the log knows.
        assert_eq!(recent.after(7, 9), Some(vec![]));
        check(&recent, 3, None);
        check(&recent, 8, None);
        check(&recent, u64::MAX, None);
    }

    #[test]
    fn nothing_is_kept_across_a_gap_or_an_end() {
        let mut recent = RecentEvents::default();
        recent.grow(growth(1..=2, "{}"));
        recent.grow(growth(4..=5, "{}"));
        check(&recent, 1, None);
        check(&recent, 3, Some(4..=5));
        let ended = LogGrowth {
            last_seq: 6,
            events: vec![],
        };
        recent.grow(ended);
        check(&recent, 4, None);
        assert_eq!(recent.last_seq(), Some(6));
        recent.grow(growth(7..=7, "{}"));
        check(&recent, 6, Some(7..=7));
    }

    #[test]
    fn events_and_bytes_are_bounded() {
        let mut recent = RecentEvents::default();
        recent.grow(growth(1..=1_000, "{}"));
        assert_eq!(recent.events.len(), MAX_EVENTS);
        check(&recent, 998, Some(999..=1_000));
        recent.grow(growth(1_001..=1_001, &"x".repeat(MAX_BYTES)));
        assert_eq!((recent.events.len(), recent.bytes), (0, 0));
        check(&recent, 1_000, None);
        recent.grow(growth(1_002..=1_002, "{}"));
        check(&recent, 1_001, Some(1_002..=1_002));
    }
}

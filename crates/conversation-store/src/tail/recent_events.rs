//! The end of a log, in memory while a turn adds to it: a reader that keeps up asks SQLite for nothing.
//!
//! It holds what was committed, byte for byte, or nothing. A reader that is further behind reads the log.

use std::collections::VecDeque;

use crate::Event;

/// Most events of one log: a reader that is further behind is served in bigger pieces, from the log.
const MAX_EVENTS: usize = 64;

/// Most bytes of them: for a thousand running turns that someone follows this is 16 MiB.
const MAX_BYTES: usize = 16 << 10;

/// What one commit added to a log.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    /// The log's new end.
    pub(crate) last_seq: u64,
    /// What was added, if it is worth keeping: nothing when a turn has ended, or the conversation has.
    pub(crate) events: Vec<Event>,
}

/// The end of one log.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    last_seq: Option<u64>,
    /// Without a gap, the last one being `last_seq`; or none.
    events: VecDeque<Event>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.last_seq
    }

    /// Takes up what was committed.
    pub(crate) fn grow(&mut self, growth: Growth) {
        let Growth { last_seq, events } = growth;
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

    /// The events with `seq > after`, at most `limit`, if none of them is missing here.
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

/// What an event costs.
fn bytes(event: &Event) -> usize {
    size_of::<Event>() + event.kind.len() + event.json.len() + event.turn_id.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::{Growth, MAX_BYTES, MAX_EVENTS, Recent};
    use crate::Event;

    fn growth(seqs: std::ops::RangeInclusive<u64>, json: &str) -> Growth {
        let event = |seq| Event {
            seq,
            kind: "token".to_owned(),
            turn_id: Some("t".to_owned()),
            at_ms: 0,
            json: json.to_owned(),
        };
        Growth {
            last_seq: *seqs.end(),
            events: seqs.map(event).collect(),
        }
    }

    #[track_caller]
    fn check(recent: &Recent, after: u64, expected: Option<std::ops::RangeInclusive<u64>>) {
        let found = recent.after(after, 1_000);
        let found = found.map(|events| events.iter().map(|event| event.seq).collect::<Vec<_>>());
        assert_eq!(found, expected.map(Iterator::collect));
    }

    #[test]
    fn what_was_committed_last_is_there() {
        let mut recent = Recent::default();
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
        let mut recent = Recent::default();
        recent.grow(growth(1..=2, "{}"));
        recent.grow(growth(4..=5, "{}"));
        check(&recent, 1, None);
        check(&recent, 3, Some(4..=5));
        let ended = Growth {
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
    fn what_is_kept_is_bounded() {
        let mut recent = Recent::default();
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

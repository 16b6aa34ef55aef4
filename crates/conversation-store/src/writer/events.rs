//! Appends events to a conversation's log, and inserts their rows.

use rusqlite::named_params;

use super::Batch;
use crate::{
    AnswerDelta, Event, NewEvent, SeqRange, TurnKey, error::Result, queries::ConversationRow, token_ids, wal::Effect,
};

/// The turn that events belong to.
#[derive(Clone, Copy)]
pub(super) struct TurnRef<'a> {
    pub(super) key: TurnKey,
    /// The id that clients know.
    pub(super) id: &'a str,
}

/// Events that are appended to one log.
pub(super) struct LogAppend<'a> {
    /// The conversation's id.
    pub(super) conversation: &'a str,
    /// The conversation's row, with the log's end before the append.
    pub(super) row: ConversationRow,
    pub(super) turn: Option<TurnRef<'a>>,
    /// At least one.
    pub(super) events: &'a [NewEvent],
    /// What the events add to the turn's answer.
    pub(super) answer: Option<&'a AnswerDelta>,
}

/// A row of the table `event`.
pub(super) struct EventRow<'a> {
    pub(super) conversation: i64,
    pub(super) seq: u64,
    pub(super) turn: Option<TurnKey>,
    pub(super) kind: &'a str,
    pub(super) at_ms: i64,
    pub(super) json: &'a str,
    /// The text and the token ids that it adds to its turn's answer.
    pub(super) part: Option<&'a str>,
    pub(super) ids: &'a [u32],
}

impl Batch<'_> {
    /// Appends events to a log, numbers them, and has the log's subscribers woken after the commit.
    ///
    /// The first event's row holds what they add to the answer: a token is one row, and no row is ever rewritten, so
    /// its cost doesn't depend on the tokens before it.
    pub(super) fn append(&mut self, append: &LogAppend<'_>) -> Result<SeqRange> {
        let first = append.row.last_seq + 1;
        let mut last = append.row.last_seq;
        for event in append.events {
            last += 1;
            let answer = append.answer.filter(|_| last == first);
            let what = if answer.is_some() {
                "a piece of an answer"
            } else {
                "an event"
            };
            let row = EventRow {
                conversation: append.row.key,
                seq: last,
                turn: append.turn.map(|turn| turn.key),
                kind: &event.kind,
                at_ms: event.at_ms,
                json: &event.json,
                part: answer.map(|answer| answer.text.as_str()),
                ids: answer.map_or(&[], |answer| &answer.ids),
            };
            self.insert_event(what, &row)?;
        }
        let at_ms = append.events.last().map(|event| event.at_ms);
        self.set_log_end(append.row.key, last, at_ms)?;
        self.apply_later(Effect::LogGrew {
            conversation: append.conversation.to_owned(),
            last_seq: last,
        });
        self.notify_of(append.conversation, last, append.committed_events());
        Ok(SeqRange { first, last })
    }

    /// Inserts an event. An error is reported as a failed write of `what`.
    pub(super) fn insert_event(&self, what: &'static str, event: &EventRow<'_>) -> Result<()> {
        let mut ids = Vec::new();
        token_ids::encode(event.ids, &mut ids);
        self.execute(
            what,
            "INSERT INTO event (conversation, seq, turn, kind, at, json, part, ids)
             VALUES (:conversation, :seq, :turn, :kind, :at, :json, :part, :ids)",
            named_params! {
                ":conversation": event.conversation, ":seq": event.seq.cast_signed(),
                ":turn": event.turn.map(u64::cast_signed), ":kind": event.kind, ":at": event.at_ms,
                ":json": event.json, ":part": event.part, ":ids": (!ids.is_empty()).then_some(ids),
            },
        )
        .map(drop)
    }

    /// Stores where a log ends.
    pub(super) fn set_log_end(&self, conversation: i64, last_seq: u64, at_ms: Option<i64>) -> Result<()> {
        self.execute(
            "a conversation",
            "UPDATE conversation SET last_seq = :seq, updated_at = coalesce(:at, updated_at) WHERE key = :key",
            named_params! { ":seq": last_seq.cast_signed(), ":at": at_ms, ":key": conversation },
        )
        .map(drop)
    }
}

impl LogAppend<'_> {
    /// Returns the events as readers get them after the commit.
    fn committed_events(&self) -> impl Iterator<Item = Event> {
        let numbered = (self.row.last_seq + 1..).zip(self.events);
        numbered.map(|(seq, event)| Event {
            seq,
            kind: event.kind.clone(),
            turn_id: self.turn.map(|turn| turn.id.to_owned()),
            at_ms: event.at_ms,
            json: event.json.clone(),
        })
    }
}

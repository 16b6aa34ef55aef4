//! Ends a turn: stores its state, its whole answer and its one terminal event.

use rusqlite::named_params;

use super::{
    Batch,
    batch::check_size,
    events::{LogAppend, TurnRef},
};
use crate::{
    EndTurn, StoreError,
    error::Result,
    queries::{self, StoredAnswer},
    token_ids,
};

impl EndTurn {
    /// Ends the turn, and returns the number of its terminal event.
    pub(super) fn end(&self, batch: &mut Batch<'_>) -> Result<u64> {
        check_size("the end of a turn", self.bytes())?;
        let conversation = queries::find_known(&batch.db, &self.conversation)?;
        let turn = batch.turn(&self.conversation, conversation.key, self.turn)?;
        let from = turn.state;
        if !self.state.is_terminal() || !from.may_become(self.state) {
            return Err(StoreError::IllegalTransition {
                turn: self.turn,
                from,
                to: self.state,
            });
        }
        let answer = self.answer(batch)?;
        let appended = batch.append(&LogAppend {
            conversation: &self.conversation,
            row: conversation,
            turn: Some(TurnRef {
                key: self.turn,
                id: &turn.id,
            }),
            events: std::slice::from_ref(&self.event),
            answer: None,
        })?;
        let end_seq = appended.last;
        // The log doesn't grow for now, so its newest events needn't stay in memory.
        batch.notify(&self.conversation, end_seq);
        batch.execute(
            "a turn's end",
            "UPDATE turn SET state = :state, answer_text = :text, answer_ids = :ids, end_seq = :seq, ended_at = :at
             WHERE key = :key",
            named_params! {
                ":state": self.state.as_str(), ":text": answer.text, ":ids": answer.ids,
                ":seq": end_seq.cast_signed(), ":at": self.event.at_ms, ":key": self.turn.cast_signed(),
            },
        )?;
        batch.failed_turns.remove(&self.turn);
        batch.leave_fast_path(&self.conversation, self.turn);
        Ok(end_seq)
    }

    fn bytes(&self) -> usize {
        let text = self.answer_text.as_ref().map_or(0, String::len);
        let ids = self.answer_ids.as_ref().map_or(0, |ids| size_of_val(ids.as_slice()));
        text + ids + self.event.bytes()
    }

    /// Returns the answer that was appended, or what the command replaces it with.
    fn answer(&self, batch: &Batch<'_>) -> Result<StoredAnswer> {
        let mut answer = StoredAnswer::join_parts(&batch.db, self.turn)?;
        if let Some(text) = &self.answer_text {
            answer.text.clone_from(text);
        }
        if let Some(ids) = &self.answer_ids {
            let mut blob = Vec::new();
            token_ids::encode(ids, &mut blob);
            answer.ids = Some(blob);
        }
        Ok(answer)
    }
}

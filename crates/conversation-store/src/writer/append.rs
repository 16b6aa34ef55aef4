//! Appends events to a running turn, and what they add to its answer.

use rusqlite::named_params;

use super::{
    Batch,
    batch::check_size,
    events::{LogAppend, TurnRef},
};
use crate::{
    AppendEvents, SeqRange, StartedFacts, StoreError, TurnKey, TurnState, error::Result, queries, wal::Effect,
};

impl AppendEvents {
    /// Appends the events, and starts the turn or replaces its rounds if the command says so.
    pub(super) fn append(&self, batch: &mut Batch<'_>) -> Result<SeqRange> {
        if batch.failed_turns.contains(&self.turn) {
            return Err(StoreError::AfterFailure { turn: self.turn });
        }
        if let Err(error) = check_size("an append", self.bytes()) {
            batch.failed_turns.insert(self.turn);
            batch.leave_fast_path(&self.conversation, self.turn);
            return Err(error);
        }
        if self.events.is_empty() {
            return Err(StoreError::NoEvents { turn: self.turn });
        }
        let conversation = queries::find_known(&batch.db, &self.conversation)?;
        let turn = batch.turn(&self.conversation, conversation.key, self.turn)?;
        self.check_state(turn.state)?;
        let seqs = batch.append(&LogAppend {
            conversation: &self.conversation,
            row: conversation,
            turn: Some(TurnRef {
                key: self.turn,
                id: &turn.id,
            }),
            events: &self.events,
            answer: self.answer.as_ref(),
        })?;
        if let Some(started) = &self.started {
            start(batch, self.turn, started)?;
        }
        if let Some(rounds) = &self.rounds_json {
            set_rounds(batch, self.turn, rounds)?;
        }
        if self.started.is_some() || turn.state == TurnState::Streaming {
            batch.apply_later(Effect::TurnStreams {
                conversation: self.conversation.clone(),
                turn: self.turn,
                turn_id: turn.id,
            });
        }
        Ok(seqs)
    }

    fn check_state(&self, state: TurnState) -> Result<()> {
        let turn = self.turn;
        if state.is_terminal() {
            return Err(StoreError::NotWritable {
                turn,
                state,
                what: "events",
            });
        }
        if self.started.is_some() {
            if !state.may_become(TurnState::Streaming) {
                return Err(StoreError::IllegalTransition {
                    turn,
                    from: state,
                    to: TurnState::Streaming,
                });
            }
        } else if self.answer.is_some() && state != TurnState::Streaming {
            return Err(StoreError::NotWritable {
                turn,
                state,
                what: "answer",
            });
        }
        Ok(())
    }
}

fn start(batch: &Batch<'_>, turn: TurnKey, started: &StartedFacts) -> Result<()> {
    batch.execute(
        "a turn's start",
        "UPDATE turn SET state = 'streaming', model = :model, prompt_tokens = :prompt_tokens, epoch = :epoch
         WHERE key = :key",
        named_params! {
            ":model": started.model,
            ":prompt_tokens": started.prompt_tokens.cast_signed(),
            ":epoch": started.epoch.map(u64::cast_signed),
            ":key": turn.cast_signed(),
        },
    )?;
    Ok(())
}

fn set_rounds(batch: &Batch<'_>, turn: TurnKey, rounds: &str) -> Result<()> {
    batch.execute(
        "a turn's rounds",
        "UPDATE turn SET rounds = :rounds WHERE key = :key",
        named_params! { ":rounds": rounds, ":key": turn.cast_signed() },
    )?;
    Ok(())
}

//! Begins a turn: inserts the conversation, the agent's snapshot, the turn and its `user` event.

use rusqlite::{OptionalExtension as _, named_params};

use super::{
    Batch,
    batch::check_size,
    events::{LogAppend, TurnRef},
};
use crate::{
    BegunTurn, NewTurn, Parent, StoreError, TurnKey,
    error::Result,
    queries::{self, ConversationRow},
};

impl NewTurn {
    /// Begins the turn, or joins the one that the same command has begun.
    pub(super) fn begin(&self, batch: &mut Batch<'_>) -> Result<BegunTurn> {
        check_size("a turn", self.bytes())?;
        let found = queries::find(&batch.db, &self.conversation)?;
        if let Some(conversation) = found
            && let Some(begun) = self.find_same(batch, conversation)?
        {
            return Ok(begun);
        }
        let parent = self.find_parent(batch, found)?;
        let conversation = match found {
            Some(conversation) => conversation,
            None => batch.insert_conversation(&self.conversation, self.event.at_ms)?,
        };
        self.insert_agent(batch)?;
        let key = self.insert_turn(batch, conversation, parent)?;
        let seqs = batch.append(&LogAppend {
            conversation: &self.conversation,
            row: conversation,
            turn: Some(TurnRef { key, id: &self.turn_id }),
            events: std::slice::from_ref(&self.event),
            answer: None,
        })?;
        batch.execute(
            "a conversation's head",
            "UPDATE conversation SET head = :head WHERE key = :key",
            named_params! { ":head": key.cast_signed(), ":key": conversation.key },
        )?;
        Ok(BegunTurn {
            key,
            first_seq: seqs.first,
            parent,
            joined: false,
        })
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.conversation,
            &self.turn_id,
            &self.user_text,
            &self.agent_id,
            &self.agent_hash,
            &self.agent_json,
            &self.options_json,
            &self.body_hash,
            &self.event.kind,
            &self.event.json,
        ];
        texts.into_iter().map(String::len).sum()
    }

    /// Finds the turn of that id, which the same command joins. Refuses another command with that id.
    fn find_same(&self, batch: &Batch<'_>, conversation: ConversationRow) -> Result<Option<BegunTurn>> {
        let mut statement = batch.db.prepare_cached(
            "SELECT key, first_seq, parent, body_hash FROM turn WHERE conversation = :conversation AND id = :id",
        )?;
        let found = statement
            .query_row(
                named_params! { ":conversation": conversation.key, ":id": self.turn_id },
                |row| {
                    let begun = BegunTurn {
                        key: row.get::<_, i64>(0)?.cast_unsigned(),
                        first_seq: row.get::<_, i64>(1)?.cast_unsigned(),
                        parent: row.get::<_, Option<i64>>(2)?.map(i64::cast_unsigned),
                        joined: true,
                    };
                    Ok((begun, row.get::<_, String>(3)?))
                },
            )
            .optional()?;
        match found {
            Some((_, body_hash)) if body_hash != self.body_hash => Err(StoreError::DuplicateTurn {
                conversation: self.conversation.clone(),
                turn_id: self.turn_id.clone(),
            }),
            found => Ok(found.map(|(begun, _)| begun)),
        }
    }

    fn find_parent(&self, batch: &Batch<'_>, conversation: Option<ConversationRow>) -> Result<Option<TurnKey>> {
        let turn_id = match &self.parent {
            Parent::Head => return Ok(conversation.and_then(|conversation| conversation.head)),
            Parent::Root => return Ok(None),
            Parent::Turn(turn_id) => turn_id,
        };
        let found = match conversation {
            Some(conversation) => queries::turn_key(&batch.db, conversation.key, turn_id)?,
            None => None,
        };
        let not_found = || StoreError::TurnNotFound {
            conversation: self.conversation.clone(),
            turn: turn_id.clone(),
        };
        found.map(Some).ok_or_else(not_found)
    }

    fn insert_agent(&self, batch: &Batch<'_>) -> Result<()> {
        let sql = "INSERT INTO agent_snapshot (hash, json) VALUES (:hash, :json) ON CONFLICT DO NOTHING";
        let params = named_params! { ":hash": self.agent_hash, ":json": self.agent_json };
        batch.execute("an agent snapshot", sql, params).map(|_| ())
    }

    fn insert_turn(
        &self,
        batch: &Batch<'_>,
        conversation: ConversationRow,
        parent: Option<TurnKey>,
    ) -> Result<TurnKey> {
        batch.execute(
            "a turn",
            "INSERT INTO turn (conversation, id, parent, state, first_seq, user_text, agent_id, agent_hash, options,
                               seed, body_hash, created_at)
             VALUES (:conversation, :id, :parent, 'pending', :first_seq, :user_text, :agent_id, :agent_hash,
                     :options, :seed, :body_hash, :created_at)",
            named_params! {
                ":conversation": conversation.key,
                ":id": self.turn_id,
                ":parent": parent.map(u64::cast_signed),
                ":first_seq": conversation.last_seq.cast_signed() + 1,
                ":user_text": self.user_text,
                ":agent_id": self.agent_id,
                ":agent_hash": self.agent_hash,
                ":options": self.options_json,
                ":seed": self.seed.cast_signed(),
                ":body_hash": self.body_hash,
                ":created_at": self.event.at_ms,
            },
        )?;
        Ok(batch.db.last_insert_rowid().cast_unsigned())
    }
}

//! Encodes messages as token ids, one segment at a time.
//!
//! The system part, each user message and each answer are encoded separately and concatenated, so that the prompt of a
//! later turn extends that of an earlier one to the token, and a conversation that continues from its cache sees what
//! one that is rendered from its history would see. Special tokens are parsed in the template's literals only, never in
//! what people wrote. Finished answers are inserted as the ids that were generated.

mod policy;

use std::collections::HashMap;
use std::sync::Arc;

use engine::{EngineError, Message, RenderedPrompt, Role, Span, SpanKind, TurnTag};
use model_files::{ChatFormat, ModelFileError, ModelFiles, Piece, Tokenizer};

pub(crate) use policy::{Defaults, history_room};

/// A model's tokenizer and chat format. Needs no weights, and may be used while the model runs.
#[derive(Debug)]
pub(crate) struct PromptFormat {
    files: Arc<ModelFiles>,
    /// The name under which users know the model.
    model: String,
}

/// A part of a conversation's token stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// Its ids, in order.
    pub(crate) ids: Vec<u32>,
    /// The segments of `ids`, without a gap.
    pub(crate) spans: Vec<Span>,
}

impl Prompt {
    /// Returns the turns that end within the prompt, and the index in `ids` where each ends.
    pub(crate) fn turn_ends(&self) -> impl Iterator<Item = (TurnTag, usize)> {
        let answers = self.spans.iter().filter(|span| span.kind == SpanKind::Assistant);
        answers.filter_map(|span| Some((span.tag?, span.tokens.end)))
    }

    /// Returns the first turn of the prompt.
    pub(crate) fn first_turn(&self) -> Option<TurnTag> {
        self.spans.iter().find_map(|span| span.tag)
    }

    /// Removes the first span, and returns its ids.
    pub(crate) fn take_first_span(&mut self) -> Vec<u32> {
        if self.spans.is_empty() {
            return Vec::new();
        }
        let len = self.spans.remove(0).tokens.len();
        for Span { tokens, .. } in &mut self.spans {
            *tokens = tokens.start - len..tokens.end - len;
        }
        self.ids.drain(..len).collect()
    }

    fn push(&mut self, ids: &[u32], kind: SpanKind, tag: Option<TurnTag>) {
        let start = self.ids.len();
        self.ids.extend_from_slice(ids);
        self.spans.push(Span {
            tokens: start..self.ids.len(),
            kind,
            tag,
        });
    }
}

impl PromptFormat {
    /// Makes the prompt format of the model that users know as `model`.
    pub(crate) fn new(files: Arc<ModelFiles>, model: String) -> Self {
        Self { files, model }
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.files.tokenizer
    }

    /// Returns ids that spell exactly this text in the middle of an answer, if there are any.
    pub(crate) fn encode_exactly(&self, text: &str) -> Option<Vec<u32>> {
        let ids = self.tokenizer().encode_pieces(&[Piece::Text(text)]).ok()?;
        (self.tokenizer().decode(&ids) == text).then_some(ids)
    }

    /// Returns the system part, which is pinned as sinks.
    pub(crate) fn system(&self, system: Option<&str>) -> Result<Prompt, EngineError> {
        let mut prompt = Prompt::default();
        let ids = self.encode(&self.chat_format()?.system_part(system))?;
        prompt.push(&ids, SpanKind::System, None);
        Ok(prompt)
    }

    /// Appends the newest whole turns that fit in `room_tokens`, and the last user message whether it fits or not.
    pub(crate) fn append_history(
        &self,
        prompt: &mut Prompt,
        messages: &[Message],
        room_tokens: u64,
    ) -> Result<(), EngineError> {
        let (question, earlier) = split_last(messages)?;
        let question_ids = self.message_ids(question)?;
        let mut used = question_ids.len() as u64;
        let mut newest_first = Vec::new();
        for turn in earlier.rchunks(2) {
            let turn_ids = turn
                .iter()
                .map(|message| self.message_ids(message))
                .collect::<Result<Vec<_>, _>>()?;
            used += turn_ids.iter().map(|ids| ids.len() as u64).sum::<u64>();
            if used > room_tokens {
                break;
            }
            newest_first.push((turn, turn_ids));
        }
        for (turn, turn_ids) in newest_first.iter().rev() {
            for (message, ids) in turn.iter().zip(turn_ids) {
                prompt.push(ids, span_kind(&message.role), Some(message.tag));
            }
        }
        prompt.push(&question_ids, SpanKind::User, Some(question.tag));
        Ok(())
    }

    /// Returns the prompt that continues from a cache that ends with turn `last`: the ids of it that the cache hasn't
    /// read yet, the literal that closes its answer, then the messages.
    pub(crate) fn continuation(
        &self,
        pending_ids: &[u32],
        last: TurnTag,
        messages: &[Message],
    ) -> Result<Prompt, EngineError> {
        split_last(messages)?;
        let mut prompt = Prompt::default();
        let mut rest = pending_ids.to_vec();
        rest.extend(self.encode(&[Piece::Literal(self.chat_format()?.answer_end())])?);
        prompt.push(&rest, SpanKind::Assistant, Some(last));
        for message in messages {
            prompt.push(&self.message_ids(message)?, span_kind(&message.role), Some(message.tag));
        }
        Ok(prompt)
    }

    /// Renders a prompt that was made of this system part and these messages as text.
    pub(crate) fn rendered(
        &self,
        prompt: Prompt,
        system: Option<&str>,
        messages: &[Message],
    ) -> Result<RenderedPrompt, EngineError> {
        let by_span: HashMap<_, _> = messages
            .iter()
            .map(|message| ((Some(message.tag), span_kind(&message.role)), message))
            .collect();
        let mut text = String::new();
        for span in &prompt.spans {
            let pieces = match by_span.get(&(span.tag, span.kind)) {
                Some(message) => self.message_pieces(message)?,
                None => self.chat_format()?.system_part(system),
            };
            pieces.iter().for_each(|piece| self.spell(piece, &mut text));
        }
        Ok(RenderedPrompt {
            text,
            ids: prompt.ids,
            spans: prompt.spans,
        })
    }

    fn message_ids(&self, message: &Message) -> Result<Vec<u32>, EngineError> {
        self.encode(&self.message_pieces(message)?)
    }

    fn message_pieces<'a>(&'a self, message: &'a Message) -> Result<Vec<Piece<'a>>, EngineError> {
        let chat_format = self.chat_format()?;
        let content = match (&message.role, &message.ids) {
            (Role::User | Role::Tool { .. }, _) => return Ok(chat_format.user_part(&message.text)),
            (Role::Assistant { .. }, Some(ids)) => Piece::Ids(ids),
            (Role::Assistant { .. }, None) => Piece::Text(&message.text),
        };
        Ok(vec![content, Piece::Literal(chat_format.answer_end())])
    }

    fn chat_format(&self) -> Result<&ChatFormat, EngineError> {
        let reason = || format!("model {:?} has no chat template, so it can't chat", self.model);
        self.files
            .chat_format
            .as_ref()
            .ok_or_else(|| EngineError::InvalidRequest { reason: reason() })
    }

    fn encode(&self, pieces: &[Piece<'_>]) -> Result<Vec<u32>, EngineError> {
        for piece in pieces {
            if let Piece::Ids(ids) = piece {
                self.check_ids(ids)?;
            }
        }
        let unencodable = |error: ModelFileError| EngineError::InvalidRequest {
            reason: error.to_string(),
        };
        self.tokenizer().encode_pieces(pieces).map_err(unencodable)
    }

    fn check_ids(&self, ids: &[u32]) -> Result<(), EngineError> {
        let vocab_size = self.files.config.vocab_size;
        match ids.iter().find(|&&id| id as usize >= vocab_size) {
            Some(id) => Err(EngineError::InvalidRequest {
                reason: format!("an answer has the token id {id}, but the vocabulary ends before {vocab_size}"),
            }),
            None => Ok(()),
        }
    }

    fn spell(&self, piece: &Piece<'_>, text: &mut String) {
        match piece {
            Piece::Start => {}
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Text(content) => text.push_str(content),
            Piece::Ids(ids) => text.push_str(&self.tokenizer().decode(ids)),
        }
    }
}

/// Splits off the last message, which must be a user's, from the whole turns before it.
fn split_last(messages: &[Message]) -> Result<(&Message, &[Message]), EngineError> {
    let roles = [Role::User, Role::ASSISTANT].into_iter().cycle();
    let alternate = messages.iter().zip(roles).all(|(message, role)| message.role == role);
    match messages.split_last() {
        Some((last, earlier)) if alternate && last.role == Role::User => Ok((last, earlier)),
        _ => {
            let reason = "messages must be users' and assistants' in turn, a user's first and last".to_owned();
            Err(EngineError::InvalidRequest { reason })
        }
    }
}

fn span_kind(role: &Role) -> SpanKind {
    match role {
        Role::User => SpanKind::User,
        Role::Assistant { .. } => SpanKind::Assistant,
        Role::Tool { .. } => SpanKind::Tool,
    }
}

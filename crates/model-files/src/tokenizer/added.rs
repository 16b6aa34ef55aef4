//! The tokens that are not merged: control tokens and other whole-text tokens.

use std::collections::HashMap;

/// A token that is matched as a whole.
#[derive(Debug, Clone)]
pub(super) struct AddedToken {
    pub(super) id: u32,
    pub(super) text: String,
    /// True for a token that steers the model and adds nothing to an answer.
    pub(super) control: bool,
    /// True if it absorbs the white space before it.
    pub(super) lstrip: bool,
    /// True if it absorbs the white space after it.
    pub(super) rstrip: bool,
}

/// All added tokens of a tokenizer.
pub(super) struct AddedTokens {
    /// The longest first, so that the first match is the longest one.
    by_length: Vec<AddedToken>,
    /// Whether each added token is a control token.
    control: HashMap<u32, bool>,
    /// The control token for text that the vocabulary can't encode otherwise.
    unknown: Option<u32>,
}

/// A token found in a literal: the bytes that it covers, and its id.
pub(super) struct FoundToken {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) id: u32,
}

impl AddedTokens {
    pub(super) fn new(mut tokens: Vec<AddedToken>, unknown: Option<u32>) -> Self {
        tokens.retain(|token| !token.text.is_empty());
        tokens.sort_by(|a, b| b.text.len().cmp(&a.text.len()).then(a.id.cmp(&b.id)));
        let control = tokens.iter().map(|token| (token.id, token.control)).collect();
        Self {
            by_length: tokens,
            control,
            unknown,
        }
    }

    /// Returns the leftmost token in `literal`, the longest if several start there.
    ///
    /// Tries every token at every position: literals are a few words, and are encoded once per turn.
    pub(super) fn find(&self, literal: &str) -> Option<FoundToken> {
        literal.char_indices().find_map(|(at, _)| {
            let token = self
                .by_length
                .iter()
                .find(|token| literal[at..].starts_with(&token.text))?;
            let end = at + token.text.len();
            let before = if token.lstrip {
                literal[..at].trim_end().len()
            } else {
                at
            };
            let after = if token.rstrip {
                literal.len() - literal[end..].trim_start().len()
            } else {
                end
            };
            Some(FoundToken {
                start: before,
                end: after,
                id: token.id,
            })
        })
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.by_length
            .iter()
            .find(|token| token.text == text)
            .map(|token| token.id)
    }

    pub(super) fn is_control(&self, id: u32) -> bool {
        self.control.get(&id).copied().unwrap_or(false)
    }

    /// Returns true if no text may be encoded as this token.
    pub(super) fn is_forbidden_in_text(&self, id: u32) -> bool {
        self.is_control(id) && self.unknown != Some(id)
    }
}

//! Prompts of a known length: token ids for the model, words for an engine.

use engine::{Engine, Message, Options, Request, TurnTag};

use crate::error::CommandError;

/// The text of conversations, repeated; each begins at another word, so that no two prompts begin alike.
const WORDS: &str = "the river was low that summer and the old mill stood still while we walked along the bank and \
    talked of what had been said at the table before the rain came down and everyone went home to wait for news of the \
    boats that had left at dawn with nets and bread and a lamp for each man who could not see the shore";

/// Added one at a time to reach a length exactly: a token in nearly every vocabulary.
const FILLER: &str = " a";

/// Returns `count` ids of a vocabulary: the given ones, repeated, or generated ones. How fast a model is doesn't depend
/// on what it reads.
pub(super) fn ids(given: &[u32], count: usize, vocab_size: usize) -> Vec<u32> {
    /// Prime, so that ids repeat only when all have occurred.
    const STEP: usize = 7_919;
    let meaningless = (0..count).map(|idx| ((idx * STEP + 1_000) % vocab_size) as u32);
    if given.is_empty() {
        return meaningless.collect();
    }
    given.iter().copied().cycle().take(count).collect()
}

/// Makes a first turn whose prompt has `tokens` tokens, or the next lower number that words allow. Prompts with another
/// `idx` differ from the system part on.
///
/// # Errors
/// `tokens` is less than a prompt without a word has, or the engine can't render.
pub(super) fn first_turn(
    engine: &dyn Engine,
    idx: usize,
    tokens: usize,
    options: &Options,
) -> Result<Request, CommandError> {
    let with = |text: String| request(idx, None, Message::user(TurnTag(1), text), options);
    let len = |text: &str| Ok::<_, CommandError>(engine.render(&with(text.to_owned()))?.ids.len());
    let bare = len("")?;
    if bare > tokens {
        return Err(format!("a prompt without a word has {bare} tokens already, more than {tokens}").into());
    }
    // More words are never fewer tokens, and a word is at least one.
    let (mut fits, mut too_many) = (0, tokens + 1);
    while too_many - fits > 1 {
        let middle = fits.midpoint(too_many);
        if len(&words(idx, middle))? <= tokens {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    let mut text = words(idx, fits);
    while len(&(text.clone() + FILLER))? <= tokens {
        text.push_str(FILLER);
    }
    Ok(with(text))
}

/// Makes the turn after `last` in the conversation of [`first_turn`] with the same `idx`; every turn has the same
/// words.
pub(super) fn next_turn(idx: usize, last: u64, options: &Options) -> Request {
    let message = Message::user(TurnTag(last + 1), words(0, 32));
    request(idx, Some(TurnTag(last)), message, options)
}

fn request(idx: usize, continues_from: Option<TurnTag>, message: Message, options: &Options) -> Request {
    Request {
        conversation: format!("bench-{idx}"),
        system: Some(format!("{idx} is your number.")),
        continues_from,
        messages: vec![message],
        tools: Vec::new(),
        options: options.clone(),
        seed: 0,
    }
}

/// Returns `count` words, starting at the word with index `first`.
fn words(first: usize, count: usize) -> String {
    let words = WORDS.split_whitespace().cycle().skip(first).take(count);
    words.collect::<Vec<_>>().join(" ")
}

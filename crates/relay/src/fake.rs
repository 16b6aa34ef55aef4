//! A relay that answers from a script, for tests, and for hosts that test their side without a model.
//!
//! It keeps the messages that it received, and may be held until a test releases an answer. After the end of its script
//! it echoes.

mod script;

use std::collections::VecDeque;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::error::{NarratorError, RelayError};
use crate::relay::{Relay, RelayAnswer, RelayFuture, RelayMessage};

/// How many of the newest messages are kept: more than a test sends, and no leak in a long-running process.
const MAX_KEPT_MESSAGES: usize = 1_024;

/// What a [`FakeRelay`] does with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FakeAnswer {
    /// Answers after a delay.
    Answer(RelayAnswer, Duration),
    /// Fails with this message.
    Fail(String),
    /// Never answers.
    Hang,
    /// Answers `echo: ` and the message, as after the end of a script.
    Echo,
}

/// Answers from a script. Clones share the relay.
#[derive(Debug, Clone)]
pub struct FakeRelay {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<FakeAnswer>>,
    messages: watch::Sender<Vec<RelayMessage>>,
    /// How many answers may be given; `None` if the relay isn't held.
    permits: Option<Semaphore>,
}

impl FakeRelay {
    /// Creates a relay that gives these answers in order, and then echoes.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = FakeAnswer>) -> Self {
        Self::with(script, None)
    }

    /// Creates a relay whose answers also wait for [`FakeRelay::release`].
    #[must_use]
    pub fn held(script: impl IntoIterator<Item = FakeAnswer>) -> Self {
        Self::with(script, Some(Semaphore::new(0)))
    }

    /// Reads a script from a file: a JSON list of `{"answer": "…", "headline"?, "delayMs"?}`, `{"error": "…"}` and
    /// `{"hang": true}`.
    ///
    /// # Errors
    /// [`NarratorError::BadScript`] naming the file and its error.
    pub fn from_file(path: &Path) -> Result<Self, NarratorError> {
        script::read(path).map(Self::new)
    }

    /// Returns the messages received so far, at most the newest 1,024, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<RelayMessage> {
        self.shared.messages.borrow().clone()
    }

    /// Waits until it has received this many messages.
    pub async fn received(&self, n_messages: usize) {
        let mut messages = self.shared.messages.subscribe();
        // The channel isn't closed while this relay exists.
        let _never_closed = messages.wait_for(|messages| messages.len() >= n_messages).await;
    }

    /// Releases this many answers of a held relay.
    pub fn release(&self, answers: usize) {
        if let Some(permits) = &self.shared.permits {
            permits.add_permits(answers);
        }
    }

    fn with(script: impl IntoIterator<Item = FakeAnswer>, permits: Option<Semaphore>) -> Self {
        Self {
            shared: Arc::new(Shared {
                script: Mutex::new(script.into_iter().collect()),
                messages: watch::channel(Vec::new()).0,
                permits,
            }),
        }
    }

    async fn answer(&self, message: RelayMessage) -> Result<RelayAnswer, RelayError> {
        let echo = RelayAnswer::text(format!("echo: {}", message.message));
        let next = self.script().pop_front().unwrap_or(FakeAnswer::Echo);
        self.shared.messages.send_modify(|messages| {
            messages.drain(..(messages.len() + 1).saturating_sub(MAX_KEPT_MESSAGES));
            messages.push(message);
        });
        if let Some(permits) = &self.shared.permits {
            let permit = permits.acquire().await;
            permit
                .map_err(|_| RelayError::failed("the fake relay is gone"))?
                .forget();
        }
        match next {
            FakeAnswer::Answer(answer, delay) => {
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            FakeAnswer::Fail(detail) => Err(RelayError::Failed { detail }),
            FakeAnswer::Hang => pending().await,
            FakeAnswer::Echo => Ok(echo),
        }
    }

    /// Locks the script. A poisoned lock is fine, since each change is a single `pop_front`.
    fn script(&self) -> MutexGuard<'_, VecDeque<FakeAnswer>> {
        self.shared.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay for FakeRelay {
    fn name(&self) -> &str {
        "fake"
    }

    fn needs_lease(&self) -> bool {
        true
    }

    fn ask(&self, message: RelayMessage) -> RelayFuture<'_> {
        Box::pin(self.answer(message))
    }
}

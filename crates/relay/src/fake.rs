//! A relay that answers from a script: for tests, and for hosts that try their own side without a model.
//!
//! It remembers what it was told, and may be held until a test lets it answer. After the end of its script it echoes.

mod script;

use std::collections::VecDeque;
use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::error::{NarratorError, RelayError};
use crate::relay::{Relay, RelayAnswer, RelayFuture, RelayMessage};

/// Messages that are remembered, the newest: more than a test sends, and no leak in a process that runs on.
const REMEMBERED: usize = 1_024;

/// What a [`FakeRelay`] does with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FakeAnswer {
    /// Answers after a while.
    Says(RelayAnswer, Duration),
    /// Fails with these words.
    Fails(String),
    /// Never answers.
    Hangs,
    /// Answers `echo: ` and the message; what comes after the end of a script.
    Echoes,
}

/// Answers from a script. Clones are the same relay.
#[derive(Debug, Clone)]
pub struct FakeRelay {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<VecDeque<FakeAnswer>>,
    messages: watch::Sender<Vec<RelayMessage>>,
    /// Answers that may be given; `None`: nothing is held.
    permits: Option<Semaphore>,
}

impl FakeRelay {
    /// Gives these answers in order, and then echoes.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = FakeAnswer>) -> Self {
        Self::with(script, None)
    }

    /// The same, but every answer waits for [`FakeRelay::release`].
    #[must_use]
    pub fn held(script: impl IntoIterator<Item = FakeAnswer>) -> Self {
        Self::with(script, Some(Semaphore::new(0)))
    }

    /// Reads a script: a JSON list of `{"answer": "…", "headline"?, "delayMs"?}`, `{"error": "…"}` and `{"hang": true}`.
    ///
    /// # Errors
    /// [`NarratorError::BadScript`] naming the file and what is wrong with it.
    pub fn from_file(path: &Path) -> Result<Self, NarratorError> {
        script::read(path).map(Self::new)
    }

    /// The messages so far, the newest thousand of them, the oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<RelayMessage> {
        self.shared.messages.borrow().clone()
    }

    /// Waits until it has been told so many messages.
    pub async fn told(&self, messages: usize) {
        let mut told = self.shared.messages.subscribe();
        // The sender lives as long as this relay.
        let _never_closed = told.wait_for(|told| told.len() >= messages).await;
    }

    /// Lets so many answers of a held relay through.
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
        let next = self.script().pop_front().unwrap_or(FakeAnswer::Echoes);
        self.shared.messages.send_modify(|told| {
            told.drain(..(told.len() + 1).saturating_sub(REMEMBERED));
            told.push(message);
        });
        if let Some(permits) = &self.shared.permits {
            let permit = permits.acquire().await;
            permit
                .map_err(|_| RelayError::failed("the fake relay is gone"))?
                .forget();
        }
        match next {
            FakeAnswer::Says(answer, delay) => {
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            FakeAnswer::Fails(detail) => Err(RelayError::Failed { detail }),
            FakeAnswer::Hangs => pending().await,
            FakeAnswer::Echoes => Ok(echo),
        }
    }

    /// A panic elsewhere can't leave the script half changed.
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

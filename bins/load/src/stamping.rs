//! An engine whose tokens are the times at which they were emitted, at a set rate.
//!
//! It delegates what isn't about pace to [`ScriptedEngine`]. All answers share one thread, as they do in the real
//! engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{collections::HashMap, io};

use engine::{
    Emitter, Engine, EngineError, EngineEvent, FinishReason, Finished, Generation, ModelInfo, Readiness,
    RenderedPrompt, Request, ScriptedEngine, SendError, Started, Timings, TurnTag, Usage, channel,
};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Pace, clock};

/// Capacity of the channel between an answer and its reader, as in the real engine.
const CHANNEL_EVENTS: usize = 64;

/// An engine that emits time stamps as tokens.
#[derive(Debug, Clone)]
pub(crate) struct StampingEngine {
    inner: ScriptedEngine,
    /// The runtime of the thread that all answers share.
    thread: Handle,
    rate: u32,
    /// The last turn in each conversation's cache.
    cached: Arc<Mutex<HashMap<String, TurnTag>>>,
}

impl StampingEngine {
    /// Starts the engine's thread.
    pub(crate) fn start(pace: Pace) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = runtime.handle().clone();
        std::thread::Builder::new()
            .name("stamping-engine".to_owned())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self {
            inner: ScriptedEngine::default(),
            thread,
            rate: pace.rate,
            cached: Arc::default(),
        })
    }

    async fn answer(self, request: Request, emitter: Emitter) -> Result<(), SendError> {
        let Some(tag) = request.messages.last().map(|message| message.tag) else {
            let reason = "a request needs a message".to_owned();
            return emitter
                .send(EngineEvent::Failed(EngineError::InvalidRequest { reason }))
                .await;
        };
        let model = self.model();
        let started = Started {
            prompt_tokens: 1,
            cached_tokens: 0,
            sink_tokens: model.sink_tokens,
            window_tokens: model.window_tokens,
            epoch: tag,
        };
        emitter.send(EngineEvent::Started(started)).await?;
        let tokens = request.options.max_new_tokens;
        let reason = self.stream(tokens, &emitter).await?;
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.conversation, tag);
        let usage = Usage {
            completion_tokens: u64::from(tokens),
            ..Usage::default()
        };
        emitter
            .send(EngineEvent::Finished(Finished {
                reason,
                answer_ids: (0..tokens).collect(),
                usage,
                timings: Timings::default(),
            }))
            .await
    }

    async fn stream(&self, tokens: u32, emitter: &Emitter) -> Result<FinishReason, SendError> {
        let mut ticks = (self.rate > 0).then(|| {
            let mut ticks = interval(Duration::from_secs(1) / self.rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        for id in 0..tokens {
            match &mut ticks {
                Some(ticks) => drop(ticks.tick().await),
                None => tokio::task::yield_now().await,
            }
            if emitter.is_cancelled() {
                return Ok(FinishReason::Cancelled);
            }
            let text = format!("{} ", clock::stamp());
            emitter.send(EngineEvent::Token { text, ids: vec![id] }).await?;
        }
        Ok(FinishReason::Length)
    }
}

impl Engine for StampingEngine {
    fn model(&self) -> ModelInfo {
        self.inner.model()
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn generate(&self, request: Request) -> Result<Generation, EngineError> {
        let (emitter, generation) = channel(CHANNEL_EVENTS);
        let answer = self.clone().answer(request, emitter);
        // A reader that is gone has dropped the turn, and there is nothing to undo.
        self.thread.spawn(async move { drop(answer.await) });
        Ok(generation)
    }

    fn cached_through(&self, conversation: &str) -> Option<TurnTag> {
        let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.get(conversation).copied()
    }

    fn forget(&self, conversation: &str) {
        self.cached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(conversation);
    }

    fn render(&self, request: &Request) -> Result<RenderedPrompt, EngineError> {
        self.inner.render(request)
    }
}

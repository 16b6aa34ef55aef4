//! The task that reads one answer: it asks, waits, reads, tells, and ends in exactly one `Finished` or `Failed`.
//!
//! Nothing else holds the connection: when the task stops reading, for whatever reason, the connection closes and the
//! server becomes idle.

use std::sync::Arc;

use engine::{Emitter, EngineError, EngineEvent, FinishReason, Finished, NotSent, Request, Started, TurnTag};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::server::cause;
use crate::{Chunk, Decoder, End, LineReader, Report, Server, UpstreamError, Wire};

/// The most that one answer may have, framing included: some thousand times the longest that is allowed to be asked for.
const ANSWER_BYTES: usize = 64 << 20;

/// One answer on its way.
pub(crate) struct Answer<W> {
    server: Server,
    wire: Arc<W>,
    /// The model's name in errors.
    model: String,
    request: Request,
    emitter: Emitter,
    clock: Clock,
    started: bool,
}

/// Why reading stopped before the end of an answer.
enum Stopped {
    /// Nobody is there to read it.
    ReaderGone,
    /// It can't be completed.
    Failed(EngineError),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<NotSent> for Stopped {
    /// A send that waits fails only when the reader is gone.
    fn from(_: NotSent) -> Self {
        Self::ReaderGone
    }
}

impl<W: Wire> Answer<W> {
    pub(crate) fn new(server: Server, wire: Arc<W>, model: String, request: Request, emitter: Emitter) -> Self {
        Self {
            server,
            wire,
            model,
            request,
            emitter,
            clock: Clock::start(),
            started: false,
        }
    }

    /// Reads it to its end, which may be that nobody wants it any more.
    pub(crate) async fn run(mut self) {
        let emitter = self.emitter.clone();
        // All that waits is inside: connecting, tries, silence, and a reader that is behind. The losing branch is dropped
        // before anything else happens, and the connection with it.
        let read = tokio::select! {
            biased;
            () = emitter.closed() => return,
            () = emitter.cancelled() => self.cancelled(),
            read = self.read() => read,
        };
        let last = match read {
            Ok(end) => self.finished(end),
            Err(Stopped::Failed(error)) => {
                tracing::warn!(model = self.model, %error, "an answer failed");
                EngineEvent::Failed(error)
            }
            Err(Stopped::ReaderGone) => return,
        };
        if matches!(last, EngineEvent::Finished(_)) && self.start().await.is_err() {
            return;
        }
        // A reader that leaves now has missed nothing that it waits for.
        let _gone = self.emitter.send(last).await;
    }

    fn cancelled(&self) -> Result<End, Stopped> {
        Ok(End {
            reason: FinishReason::Cancelled,
            report: Report::default(),
        })
    }

    async fn read(&mut self) -> Result<End, Stopped> {
        if let Some(tag) = self.request.continues_from {
            return Err(EngineError::NotCached { tag }.into());
        }
        if self.request.messages.is_empty() {
            let reason = "a request needs a message".to_owned();
            return Err(EngineError::InvalidRequest { reason }.into());
        }
        let body = self.wire.body(&self.request)?;
        let first_byte = self.clock.asked() + self.server.settings().timeouts.first_byte;
        let response = self.server.ask(W::PATH, &body, &self.model, first_byte).await?;
        let mut response = self.server.streaming(response, W::FRAMING).await?;
        let mut lines = LineReader::new(W::FRAMING);
        let mut decoder = self.wire.decoder();
        let mut deadline = first_byte;
        let mut answer_bytes = 0;
        loop {
            let mut pieces = Vec::new();
            let taken = match self.bytes(&mut response, deadline).await {
                Ok(Some(bytes)) => {
                    answer_bytes += bytes.len();
                    self.within_limit(answer_bytes)?;
                    lines.push(&bytes, &mut pieces)
                }
                Ok(None) => return self.body_ended(&mut lines, &mut decoder).await,
                Err(error) => return self.broke_off(&mut decoder, error).await,
            };
            for piece in &pieces {
                let chunks = decoder.read(piece).map_err(|error| self.failure(&error))?;
                if let Some(end) = self.tell(chunks).await? {
                    return Ok(end);
                }
            }
            taken.map_err(|error| self.failure(&error))?;
            if !pieces.is_empty() {
                deadline = Instant::now() + self.server.settings().timeouts.silence;
            }
        }
    }

    /// More bytes of the body; `None` at its end.
    async fn bytes(&self, response: &mut Response, deadline: Instant) -> Result<Option<Vec<u8>>, EngineError> {
        let timeouts = &self.server.settings().timeouts;
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes.map(Into::into)),
            Ok(Err(error)) => Err(self.server.failed(format!("its answer broke off: {}", cause(&error)))),
            Err(_) if self.started => Err(self.server.too_slow("nothing more of its answer", timeouts.silence)),
            Err(_) => Err(self.server.too_slow("no answer", timeouts.first_byte)),
        }
    }

    fn within_limit(&self, answer_bytes: usize) -> Result<(), EngineError> {
        if answer_bytes <= ANSWER_BYTES {
            return Ok(());
        }
        Err(self.failure(&UpstreamError::AnswerTooLong {
            limit_bytes: ANSWER_BYTES,
        }))
    }

    /// A body may end without the end of its last line, which is a whole piece all the same, or the half of one.
    async fn body_ended(&mut self, lines: &mut LineReader, decoder: &mut W::Decoder) -> Result<End, Stopped> {
        let last = lines.finish().map_err(|error| self.failure(&error))?;
        if let Some(piece) = last {
            match decoder.read(&piece) {
                Ok(chunks) => {
                    if let Some(end) = self.tell(chunks).await? {
                        return Ok(end);
                    }
                }
                Err(UpstreamError::NotUnderstood { source, .. }) if source.is_eof() => {}
                Err(error) => return Err(self.failure(&error).into()),
            }
        }
        let unfinished = self.failure(&UpstreamError::Unfinished);
        self.broke_off(decoder, unfinished).await
    }

    /// The answer may be whole nevertheless; else `error` is how it ends.
    async fn broke_off(&mut self, decoder: &mut W::Decoder, error: EngineError) -> Result<End, Stopped> {
        let Some(rest) = decoder.finish().map_err(|error| self.failure(&error))? else {
            return Err(error.into());
        };
        self.tell(rest).await?.ok_or(Stopped::Failed(error))
    }

    /// Passes on what a piece says; gives the end if it says so.
    async fn tell(&mut self, chunks: Vec<Chunk>) -> Result<Option<End>, Stopped> {
        self.clock.piece();
        self.start().await?;
        for chunk in chunks {
            let event = match chunk {
                Chunk::Text(text) | Chunk::Reasoning(text) if text.is_empty() => continue,
                Chunk::Text(text) => EngineEvent::Token { text, ids: Vec::new() },
                Chunk::Reasoning(text) => EngineEvent::Reasoning { text },
                Chunk::ToolCall(call) => {
                    self.emitter.send(EngineEvent::ToolCall(call)).await?;
                    continue;
                }
                Chunk::End(end) => return Ok(Some(end)),
            };
            // Counted once it is sent: an answer may be cancelled while its reader is behind.
            self.emitter.send(event).await?;
            self.clock.token();
        }
        Ok(None)
    }

    /// Says that the answer has begun, once.
    async fn start(&mut self) -> Result<(), NotSent> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let first = self.request.messages.first();
        let started = Started {
            prompt_tokens: 0,
            cached_tokens: 0,
            sink_tokens: 0,
            window_tokens: self.server.settings().context_tokens,
            epoch: first.map_or(TurnTag(0), |message| message.tag),
        };
        self.emitter.send(EngineEvent::Started(started)).await
    }

    fn finished(&self, End { reason, report }: End) -> EngineEvent {
        EngineEvent::Finished(Finished {
            reason,
            answer_ids: Vec::new(),
            usage: self.clock.usage(&report, self.server.settings().context_tokens),
            timings: self.clock.timings(&report),
        })
    }

    fn failure(&self, error: &UpstreamError) -> EngineError {
        self.server.failed(error.to_string())
    }
}

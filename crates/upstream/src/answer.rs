//! The task that requests one answer, reads it, and sends its events, ending in exactly one `Finished` or `Failed`.
//!
//! Only this task holds the connection: when it stops reading, for any reason, the connection closes and the server
//! becomes idle.

use std::sync::Arc;

use engine::{Emitter, EngineError, EngineEvent, FinishReason, Finished, Request, SendError, Started, TurnTag};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::server::cause;
use crate::timer::AnswerTimer;
use crate::{AnswerEnd, Chunk, Decoder, LineReader, Measurements, Server, UpstreamError, Wire};

/// Most bytes of one answer, framing included: about a thousand times the longest answer that may be requested.
const ANSWER_BYTES: usize = 64 << 20;

/// One answer while it is read.
pub(crate) struct Answer<W> {
    server: Server,
    wire: Arc<W>,
    /// The model's name in errors.
    model: String,
    request: Request,
    emitter: Emitter,
    timer: AnswerTimer,
    started: bool,
}

/// Why reading stopped before the end of an answer.
enum Stopped {
    /// The reader was dropped.
    ReaderGone,
    /// The answer can't be completed.
    Failed(EngineError),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<SendError> for Stopped {
    /// A send that waits fails only if the reader was dropped.
    fn from(_: SendError) -> Self {
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
            timer: AnswerTimer::start(),
            started: false,
        }
    }

    /// Reads the answer until it ends, is cancelled, or its reader is dropped.
    pub(crate) async fn run(mut self) {
        let emitter = self.emitter.clone();
        // `read` contains all that waits: connecting, retries, silence, and a reader that is behind. If it loses, it is
        // dropped first, and the connection with it.
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
        // A reader that was dropped doesn't need the last event.
        let _reader_dropped = self.emitter.send(last).await;
    }

    /// Returns the end of a cancelled answer, which the server has not measured.
    fn cancelled(&self) -> Result<AnswerEnd, Stopped> {
        Ok(AnswerEnd {
            reason: FinishReason::Cancelled,
            measurements: Measurements::default(),
        })
    }

    /// Requests the answer and forwards its events; returns its end.
    async fn read(&mut self) -> Result<AnswerEnd, Stopped> {
        if let Some(tag) = self.request.continues_from {
            return Err(EngineError::NotCached { tag }.into());
        }
        if self.request.messages.is_empty() {
            let reason = "a request needs a message".to_owned();
            return Err(EngineError::InvalidRequest { reason }.into());
        }
        let body = self.wire.body(&self.request)?;
        let first_byte = self.timer.sent_at() + self.server.settings().timeouts.first_byte;
        let response = self.server.send(W::PATH, &body, &self.model, first_byte).await?;
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
                let chunks = decoder.read(piece).map_err(|error| self.malformed_answer(&error))?;
                if let Some(end) = self.forward(chunks).await? {
                    return Ok(end);
                }
            }
            taken.map_err(|error| self.malformed_answer(&error))?;
            if !pieces.is_empty() {
                deadline = Instant::now() + self.server.settings().timeouts.silence;
            }
        }
    }

    /// Waits for more bytes of the body; returns `None` at its end.
    async fn bytes(&self, response: &mut Response, deadline: Instant) -> Result<Option<Vec<u8>>, EngineError> {
        let timeouts = &self.server.settings().timeouts;
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(bytes)) => Ok(bytes.map(Into::into)),
            Ok(Err(error)) => Err(self.server.failed(format!("its answer broke off: {}", cause(&error)))),
            Err(_) if self.started => Err(self.server.timed_out("nothing more of its answer", timeouts.silence)),
            Err(_) => Err(self.server.timed_out("no answer", timeouts.first_byte)),
        }
    }

    fn within_limit(&self, answer_bytes: usize) -> Result<(), EngineError> {
        if answer_bytes <= ANSWER_BYTES {
            return Ok(());
        }
        Err(self.malformed_answer(&UpstreamError::AnswerTooLong {
            limit_bytes: ANSWER_BYTES,
        }))
    }

    /// Handles the end of the body. Its last line may lack a line end, and be a whole piece or half of one.
    async fn body_ended(&mut self, lines: &mut LineReader, decoder: &mut W::Decoder) -> Result<AnswerEnd, Stopped> {
        let last = lines.finish().map_err(|error| self.malformed_answer(&error))?;
        if let Some(piece) = last {
            match decoder.read(&piece) {
                Ok(chunks) => {
                    if let Some(end) = self.forward(chunks).await? {
                        return Ok(end);
                    }
                }
                Err(UpstreamError::Malformed { source, .. }) if source.is_eof() => {}
                Err(error) => return Err(self.malformed_answer(&error).into()),
            }
        }
        let unfinished = self.malformed_answer(&UpstreamError::Unfinished);
        self.broke_off(decoder, unfinished).await
    }

    /// Ends an answer that broke off: it may be complete nevertheless, otherwise it fails with `error`.
    async fn broke_off(&mut self, decoder: &mut W::Decoder, error: EngineError) -> Result<AnswerEnd, Stopped> {
        let Some(rest) = decoder.finish().map_err(|error| self.malformed_answer(&error))? else {
            return Err(error.into());
        };
        self.forward(rest).await?.ok_or(Stopped::Failed(error))
    }

    /// Sends the events of decoded chunks; returns the answer's end if they contain it.
    async fn forward(&mut self, chunks: Vec<Chunk>) -> Result<Option<AnswerEnd>, Stopped> {
        self.timer.record_piece();
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
            self.timer.record_token();
        }
        Ok(None)
    }

    /// Sends `Started`, once.
    async fn start(&mut self) -> Result<(), SendError> {
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

    fn finished(&self, AnswerEnd { reason, measurements }: AnswerEnd) -> EngineEvent {
        EngineEvent::Finished(Finished {
            reason,
            answer_ids: Vec::new(),
            usage: self.timer.usage(&measurements, self.server.settings().context_tokens),
            timings: self.timer.timings(&measurements),
        })
    }

    fn malformed_answer(&self, error: &UpstreamError) -> EngineError {
        self.server.failed(error.to_string())
    }
}

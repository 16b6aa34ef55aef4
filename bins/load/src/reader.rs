//! A client's socket, which checks what it reads: no gap in the log, no token lost.

use std::borrow::Cow;
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::error::{LoadError, Result};
use crate::percentiles::Latencies;

/// Buffer for a socket's input: one token's frame many times over, and 40 MB for ten thousand sockets.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// A socket that reads every frame.
pub(crate) struct Reader {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_seq: Option<u64>,
}

/// Counts of the frames of one turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Frames with tokens.
    pub(crate) frames: u64,
    /// Numbers that are missing in the log.
    pub(crate) gaps: u64,
}

/// The fields of a frame that are read.
#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default, rename = "firstSeq")]
    first_seq: Option<u64>,
    #[serde(default)]
    token: Option<Cow<'a, str>>,
}

impl Reader {
    /// Opens a socket.
    pub(crate) async fn open(authority: &str) -> Result<Self> {
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        let opened = connect_async_with_config(format!("ws://{authority}/ws/chat"), Some(config), true).await;
        let (stream, _) = opened.map_err(|source| LoadError::Open {
            authority: authority.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { stream, last_seq: None })
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.stream.send(Message::text(text.into())).await?)
    }

    /// Reads the next text frame.
    pub(crate) async fn recv(&mut self) -> Result<String> {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(reason))) => {
                    let reason = reason.map_or_else(String::new, |reason| reason.to_string());
                    return Err(LoadError::Ended { reason });
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let reason = "no close frame".to_owned();
                    return Err(LoadError::Ended { reason });
                }
            }
        }
    }

    /// Reads one turn to its end, and passes each frame's token to `on_token`.
    pub(crate) async fn turn(&mut self, mut on_token: impl FnMut(&str) -> Result<()>) -> Result<Turn> {
        let mut turn = Turn::default();
        while !self.frame(&mut turn, &mut on_token).await? {}
        Ok(turn)
    }

    /// Reads the stamps of one answer until a time, or to its end.
    pub(crate) async fn stamps_until(&mut self, until: Instant) -> Result<Latencies> {
        let mut latencies = Latencies::default();
        let mut turn = Turn::default();
        while Instant::now() < until && !self.frame(&mut turn, &mut |token| latencies.add_stamps(token)).await? {}
        Ok(latencies)
    }

    /// Reads one frame of a turn; returns true if it was the last.
    async fn frame(&mut self, turn: &mut Turn, on_token: &mut impl FnMut(&str) -> Result<()>) -> Result<bool> {
        let text = self.recv().await?;
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(&text) else {
            return Err(LoadError::Frame { frame: text });
        };
        if let Some(seq) = frame.seq {
            let first = frame.first_seq.unwrap_or(seq);
            turn.gaps += self.last_seq.map_or(0, |last| first.abs_diff(last + 1));
            self.last_seq = Some(seq);
        }
        match (frame.r#type, frame.token) {
            ("token", Some(token)) => {
                turn.frames += 1;
                on_token(&token)?;
                Ok(false)
            }
            ("done", _) => Ok(true),
            ("error", _) => Err(LoadError::TurnFailed { frame: text }),
            _ => Ok(false),
        }
    }
}

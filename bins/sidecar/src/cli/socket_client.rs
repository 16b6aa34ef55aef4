//! The client's side of the socket: text frames out, text frames in.

use std::io;

use futures_util::{SinkExt, StreamExt};
use protocol::{ApiKey, ClientMessage};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::error::CommandError;

/// A WebSocket to a sidecar.
pub(super) struct SocketClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl SocketClient {
    /// Connects; `None` if nothing listens there.
    pub(super) async fn open(url: &str, key: Option<&ApiKey>) -> Result<Option<Self>, CommandError> {
        let mut request = url.into_client_request()?;
        if let Some(key) = key {
            request
                .headers_mut()
                .insert(AUTHORIZATION, format!("Bearer {}", key.expose()).parse()?);
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Some(Self { socket })),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(None),
            Err(error) => Err(format!("cannot talk to a sidecar at {url}: {error}").into()),
        }
    }

    pub(super) async fn send(&mut self, message: &ClientMessage) -> Result<(), CommandError> {
        self.send_text(serde_json::to_string(message)?).await
    }

    pub(super) async fn send_text(&mut self, text: String) -> Result<(), CommandError> {
        Ok(self.socket.send(Message::text(text)).await?)
    }

    /// Waits for the next text frame.
    pub(super) async fn recv(&mut self) -> Result<String, CommandError> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(format!("the sidecar closed the socket ({}): {}", frame.code, frame.reason).into());
                }
                Some(Ok(Message::Close(None))) | None => return Err("the sidecar closed the socket".into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(format!("the socket to the sidecar broke: {error}").into()),
            }
        }
    }

    /// Closes the socket. A sidecar that is gone needs no close frame.
    pub(super) async fn close(&mut self) {
        let _ = self.socket.close(None).await;
    }
}

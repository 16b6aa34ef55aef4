//! A relay that sends messages to another process over HTTP: a message as JSON out, remarks as JSON in.
//!
//! The body of the `POST` is `{workspaceId, conversationId, eventId, taskId, agentId, message}`. The relay follows no
//! redirect, reads a bounded answer, and waits as long as its caller does.

mod answer_body;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url, redirect};
use serde::Serialize;

use crate::error::{NarratorError, RelayError};
use crate::relay::{Relay, RelayAnswer, RelayFuture, RelayMessage};

/// Most bytes of an answer: a narration has some sentences, and this is a book.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Limit for connecting to an unreachable address; a network answers within a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A relay at one address.
#[derive(Clone)]
pub struct HttpRelay {
    client: Client,
    url: Url,
}

/// The body of a request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    workspace_id: &'a str,
    conversation_id: &'a str,
    event_id: &'a str,
    task_id: &'a str,
    agent_id: &'a str,
    message: &'a str,
}

impl HttpRelay {
    /// Creates a relay at an `http://` or `https://` address, without sending a request.
    ///
    /// # Errors
    /// [`NarratorError::BadRelay`] if the address is invalid, or TLS isn't available.
    pub fn new(url: &str) -> Result<Self, NarratorError> {
        let bad = |reason: String| NarratorError::BadRelay {
            url: without_password(url),
            reason,
        };
        let address = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") {
            return Err(bad("expected an http:// or https:// address".to_owned()));
        }
        let client = client(&address).map_err(|error| bad(error_chain(&error)))?;
        Ok(Self { client, url: address })
    }

    async fn post(&self, message: RelayMessage) -> Result<RelayAnswer, RelayError> {
        let body = RequestBody {
            workspace_id: &message.workspace_id,
            conversation_id: &message.conversation_id,
            event_id: &message.event_id,
            task_id: &message.task_id,
            agent_id: &message.agent_id,
            message: &message.message,
        };
        let asked = self.client.post(self.url.clone()).json(&body).send().await;
        let response = asked.map_err(|error| failed("the relay can't be asked", error))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        let kind = response.headers().get(CONTENT_TYPE).cloned();
        let (body, is_complete) = read(response, MAX_ANSWER_BYTES).await?;
        if !is_complete {
            let detail = format!("the relay's answer is larger than {MAX_ANSWER_BYTES} bytes");
            return Err(RelayError::Failed { detail });
        }
        answer_body::parse(&body).map_err(|wrong| {
            let kind = kind
                .as_ref()
                .and_then(|kind| kind.to_str().ok())
                .unwrap_or("unnamed content");
            RelayError::failed(format!("the relay's answer ({kind}) can't be used: {wrong}"))
        })
    }
}

impl Relay for HttpRelay {
    fn name(&self) -> &str {
        "http"
    }

    fn needs_lease(&self) -> bool {
        true
    }

    fn ask(&self, message: RelayMessage) -> RelayFuture<'_> {
        Box::pin(self.post(message))
    }
}

/// Shows only the host, since the address may contain a password.
impl fmt::Debug for HttpRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str();
        f.debug_struct("HttpRelay").field("host", &host).finish_non_exhaustive()
    }
}

/// Creates the HTTP client.
fn client(address: &Url) -> reqwest::Result<Client> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may install an equivalent provider at the same moment.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        // Connecting is cheap compared with an answer, and an idle connection may have been closed by the relay.
        .pool_max_idle_per_host(0);
    if address.scheme() == "http" {
        // No certificate is needed, so a container without any will do.
        builder = builder.tls_certs_only([]);
    }
    if is_loopback(address) {
        // The loopback address of a proxy is on another computer.
        builder = builder.no_proxy();
    }
    builder.build()
}

fn is_loopback(address: &Url) -> bool {
    let Some(host) = address.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns the error of an unsuccessful status, with the beginning of its body.
async fn refused(response: Response) -> RelayError {
    /// Bytes read: enough for one sentence.
    const QUOTED_BYTES: usize = 512;
    /// Characters shown.
    const QUOTED_CHARS: usize = 200;
    let status = response.status();
    let (body, _) = read(response, QUOTED_BYTES).await.unwrap_or_default();
    let words: Vec<String> = String::from_utf8_lossy(&body)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let quoted: String = words.join(" ").chars().take(QUOTED_CHARS).collect();
    let colon = if quoted.is_empty() { "" } else { ": " };
    RelayError::failed(format!("the relay answered {status}{colon}{quoted}"))
}

/// Reads at most `limit` bytes of a body; returns true with them if they are the whole body.
async fn read(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), RelayError> {
    let mut body = Vec::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|error| failed("the relay's answer breaks off", error))?
    {
        let room = limit - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

fn failed(what: &str, error: reqwest::Error) -> RelayError {
    RelayError::failed(format!("{what}: {}", error_chain(&error.without_url())))
}

/// Returns the messages of an error and of its causes, on one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// Returns an address without its credentials.
fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => url.to_owned(),
    }
}

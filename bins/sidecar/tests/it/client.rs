//! The clients of the tests: an app of their own, plain HTTP, and a WebSocket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::ScriptedEngine;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use streaming_llm_sidecar::settings::Settings;
use streaming_llm_sidecar::test_harness::{Harness, TestSidecar, settings_in};
use streaming_llm_sidecar::{App, Running};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A running app with its own folders.
pub struct TestApp {
    pub engine: ScriptedEngine,
    sidecar: TestSidecar,
}

/// Returns settings that touch nothing outside of a folder, on a free port of 127.0.0.1.
pub fn settings(folder: &Path) -> Settings {
    settings_in(folder).expect("the defaults are valid")
}

impl TestApp {
    pub async fn start(engine: ScriptedEngine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    pub async fn start_with(engine: ScriptedEngine, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
        Self::start_in(folder, engine, change).await
    }

    async fn start_in(folder: Arc<TempDir>, engine: ScriptedEngine, change: impl FnOnce(&mut Settings)) -> Self {
        let harness = Harness::within(folder, Arc::new(engine.clone())).expect("the defaults are valid");
        let sidecar = harness.settings(change).start().await.expect("the app starts");
        Self { sidecar, engine }
    }

    pub fn running(&self) -> &Running {
        self.sidecar.running()
    }

    pub async fn stop(self) {
        self.sidecar.close().await.expect("the app stops");
    }

    /// Stops once the running turns have ended, or after `grace`.
    pub async fn drain(self, grace: Duration) {
        self.sidecar.drain(grace).await.expect("the app stops");
    }

    /// Stops, and starts again on the same folders with another engine.
    pub async fn restart(self, engine: ScriptedEngine) -> Self {
        let folder = self.sidecar.close().await.expect("the app stops");
        Self::start_in(folder, engine, |_| {}).await
    }

    /// Tries to start another app on the same folders; returns the error.
    pub async fn start_beside(&self) -> String {
        let engine = Arc::new(ScriptedEngine::default());
        let refused = App::start(settings(self.sidecar.folder().path()), engine).await;
        refused.err().expect("the folder is taken").to_string()
    }

    pub fn authority(&self) -> String {
        self.running().addrs[0].to_string()
    }

    pub async fn http(&self, request: HttpRequest<'_>) -> HttpResponse {
        http(&self.authority(), request).await
    }

    pub async fn get(&self, path: &str) -> HttpResponse {
        self.http(HttpRequest {
            path,
            ..HttpRequest::default()
        })
        .await
    }

    pub async fn socket(&self) -> Socket {
        Socket::open(&self.authority(), &[])
            .await
            .expect("the handshake succeeds")
    }
}

/// One HTTP request. `Host` is the server's own unless the headers have one.
#[derive(Default)]
pub struct HttpRequest<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// One HTTP response.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl HttpResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns all headers but those that differ from one response to the next, sorted by name.
    pub fn stable_headers(&self) -> Vec<(String, String)> {
        let varying = ["date", "x-request-id"];
        let is_stable = |name: &str| !varying.iter().any(|varying| name.eq_ignore_ascii_case(varying));
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| is_stable(name));
        headers.sort();
        headers
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

pub async fn http(authority: &str, request: HttpRequest<'_>) -> HttpResponse {
    let stream = TcpStream::connect(authority).await.expect("the sidecar listens");
    let answer = exchange(stream, authority, request).await;
    parse(&answer).unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"))
}

/// As [`http`], for a sidecar that may be gone or may go before its response is complete.
pub async fn try_http(authority: &str, request: HttpRequest<'_>) -> Option<HttpResponse> {
    let stream = TcpStream::connect(authority).await.ok()?;
    let text = exchange(stream, authority, request).await;
    let answer = parse(&text)?;
    let is_whole = match answer.header("content-length") {
        Some(length) => length.parse() == Ok(answer.body.len()),
        None => answer.header("transfer-encoding").is_none() || text.ends_with("\r\n0\r\n\r\n"),
    };
    is_whole.then_some(answer)
}

async fn exchange(mut stream: TcpStream, authority: &str, request: HttpRequest<'_>) -> String {
    let method = if request.method.is_empty() {
        "GET"
    } else {
        request.method
    };
    let mut text = format!("{method} {} HTTP/1.1\r\nconnection: close\r\n", request.path);
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.push_str(&format!("host: {authority}\r\n"));
    }
    for (name, value) in request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!(
        "content-length: {}\r\n\r\n{}",
        request.body.len(),
        request.body
    ));
    // A server that refuses a large body may close before it has read all of it.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).expect("answers are UTF-8")
}

fn parse(answer: &str) -> Option<HttpResponse> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut answer = HttpResponse {
        status: status?,
        headers: headers.collect(),
        body: body.to_owned(),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = unchunk(body);
    }
    Some(answer)
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).expect("a chunk has a length");
        // A chunk that was cut off is left out.
        let Some(chunk) = after.get(..length) else { break };
        body.push_str(chunk);
        rest = after[length..].trim_start_matches("\r\n");
    }
    body
}

/// A WebSocket to the sidecar.
pub struct Socket {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Socket {
    /// Opens a socket; returns the HTTP status if the handshake is refused.
    pub async fn open(authority: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{authority}/ws/chat")
            .into_client_request()
            .expect("the address is valid");
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(*name, value.parse().expect("the header is valid"));
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("the handshake failed: {error}"),
        }
    }

    /// Opens a socket to a sidecar that may be gone, or may refuse it.
    pub async fn try_open(authority: &str) -> Option<Self> {
        let (socket, _) = connect_async(format!("ws://{authority}/ws/chat")).await.ok()?;
        Some(Self { socket })
    }

    /// Sends a frame; returns false if the socket is gone.
    pub async fn try_send(&mut self, frame: &Value) -> bool {
        self.socket.send(Message::text(frame.to_string())).await.is_ok()
    }

    /// Closes with 1000, without waiting for an answer.
    pub async fn close_normally(mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // A sidecar that is gone needs no close frame.
        let _ = self.socket.close(Some(frame)).await;
    }

    pub async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string()).await;
    }

    pub async fn send_text(&mut self, text: String) {
        self.send_raw(Message::text(text)).await;
    }

    pub async fn send_raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes a frame");
    }

    /// Receives the next text frame; panics if the socket ends instead.
    pub async fn recv(&mut self) -> Value {
        match self.next().await {
            Received::Frame(frame) => frame,
            Received::Closed(code, reason) => panic!("closed with {code}: {reason}"),
            Received::Lost => panic!("the socket broke"),
        }
    }

    /// Receives frames up to and including the first of a type.
    ///
    /// Frames `queued` are left out unless one is waited for: they are sent beside the log, and whether one is depends
    /// on how soon the turn before has left the queue.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.recv().await;
            let is_last = frame["type"] == kind;
            if is_last || frame["type"] != "queued" {
                frames.push(frame);
            }
            if is_last {
                return frames;
            }
        }
    }

    pub async fn next(&mut self) -> Received {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Received::Frame(serde_json::from_str(&text).expect("frames are JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Received::Closed(code, reason);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Received::Lost,
            }
        }
    }

    /// Reads to the end and returns the close code; 1006 without a close frame.
    pub async fn close_code(&mut self) -> u16 {
        loop {
            match self.next().await {
                Received::Frame(_) => {}
                Received::Closed(code, _) => return code,
                Received::Lost => return 1006,
            }
        }
    }

    /// Closes with a code, or without one, and returns the code of the server's close frame.
    pub async fn close(mut self, code: Option<u16>) -> u16 {
        let frame = code.map(|code| CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        });
        self.socket.close(frame).await.expect("the close frame is sent");
        self.close_code().await
    }

    /// Sends a message that starts a turn.
    pub async fn ask(&mut self, conversation: &str, turn: &str, message: &str) {
        self.send(json!({ "agentId": "planner", "conversationId": conversation, "turnId": turn, "message": message }))
            .await;
    }
}

/// What was received from a socket.
pub enum Received {
    Frame(Value),
    Closed(u16, String),
    Lost,
}

/// Joins the tokens of frames.
pub fn text(frames: &[Value]) -> String {
    frames.iter().filter_map(|frame| frame["token"].as_str()).collect()
}

/// Returns the types of frames in order, separated by spaces, with runs of one type shown once: `user started token
/// done`.
pub fn kinds(frames: &[Value]) -> String {
    let mut kinds: Vec<&str> = frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    kinds.dedup();
    kinds.join(" ")
}

/// Checks that logged frames follow on `after` without a gap; returns the last number.
#[track_caller]
pub fn no_gap(after: u64, frames: &[Value]) -> u64 {
    let mut last = after;
    for frame in frames.iter().filter(|frame| frame["seq"].is_u64()) {
        let first = frame["firstSeq"].as_u64().or(frame["seq"].as_u64());
        assert_eq!(first, Some(last + 1), "a gap before {frame}");
        last = frame["seq"].as_u64().expect("it was filtered for");
    }
    last
}

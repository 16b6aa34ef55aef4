//! What the tests talk to the sidecar with: an app of their own, plain HTTP, and a WebSocket.

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

/// A running app with folders of its own.
pub struct TestApp {
    pub engine: ScriptedEngine,
    sidecar: TestSidecar,
}

/// Settings that touch nothing outside of a folder, on a free port of 127.0.0.1.
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

    /// Stops when the running turns have ended, or after a while.
    pub async fn drain(self, grace: Duration) {
        self.sidecar.drain(grace).await.expect("the app stops");
    }

    /// Stops, and starts again on the same folders with another engine.
    pub async fn restart(self, engine: ScriptedEngine) -> Self {
        let folder = self.sidecar.close().await.expect("the app stops");
        Self::start_in(folder, engine, |_| {}).await
    }

    /// Tries to start another app on the same folders; why that fails.
    pub async fn start_beside(&self) -> String {
        let engine = Arc::new(ScriptedEngine::default());
        let refused = App::start(settings(self.sidecar.folder().path()), engine).await;
        refused.err().expect("the folder is taken").to_string()
    }

    pub fn authority(&self) -> String {
        self.running().addrs[0].to_string()
    }

    pub async fn http(&self, request: Http<'_>) -> Answer {
        http(&self.authority(), request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.http(Http {
            path,
            ..Http::default()
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
pub struct Http<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a str,
}

/// Its answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers but those that differ from one answer to the next, in order of name.
    pub fn lasting_headers(&self) -> Vec<(String, String)> {
        let passing = ["date", "x-request-id"];
        let lasting = |name: &str| !passing.iter().any(|passing| name.eq_ignore_ascii_case(passing));
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| lasting(name));
        headers.sort();
        headers
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }
}

pub async fn http(authority: &str, request: Http<'_>) -> Answer {
    let stream = TcpStream::connect(authority).await.expect("the sidecar listens");
    let answer = exchange(stream, authority, request).await;
    parse(&answer).unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"))
}

/// As [`http`], of a sidecar that may be gone, also in the midst of its answer.
pub async fn try_http(authority: &str, request: Http<'_>) -> Option<Answer> {
    let stream = TcpStream::connect(authority).await.ok()?;
    let text = exchange(stream, authority, request).await;
    let answer = parse(&text)?;
    let is_whole = match answer.header("content-length") {
        Some(length) => length.parse() == Ok(answer.body.len()),
        None => answer.header("transfer-encoding").is_none() || text.ends_with("\r\n0\r\n\r\n"),
    };
    is_whole.then_some(answer)
}

async fn exchange(mut stream: TcpStream, authority: &str, request: Http<'_>) -> String {
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

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut answer = Answer {
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
        // One that was cut off is left out.
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
    /// Opens a socket, or gives the HTTP status of the refusal.
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

    /// Opens a socket to a sidecar that may be gone, or take none.
    pub async fn try_open(authority: &str) -> Option<Self> {
        let (socket, _) = connect_async(format!("ws://{authority}/ws/chat")).await.ok()?;
        Some(Self { socket })
    }

    /// Sends a frame; `false` when the socket is gone.
    pub async fn try_say(&mut self, frame: &Value) -> bool {
        self.socket.send(Message::text(frame.to_string())).await.is_ok()
    }

    /// Says goodbye, and waits for nothing.
    pub async fn goodbye(mut self) {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        // A sidecar that is gone needs no goodbye.
        let _ = self.socket.close(Some(frame)).await;
    }

    pub async fn say(&mut self, frame: Value) {
        self.text(frame.to_string()).await;
    }

    pub async fn text(&mut self, text: String) {
        self.send(Message::text(text)).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.expect("the socket takes a frame");
    }

    /// The next text frame; panics when the socket ends instead.
    pub async fn hear(&mut self) -> Value {
        match self.next().await {
            Heard::Frame(frame) => frame,
            Heard::Closed(code, reason) => panic!("closed with {code}: {reason}"),
            Heard::Lost => panic!("the socket broke"),
        }
    }

    /// Frames up to and with the first one of a type.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            frames.push(self.hear().await);
            if frames.last().is_some_and(|frame| frame["type"] == kind) {
                return frames;
            }
        }
    }

    pub async fn next(&mut self) -> Heard {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Heard::Frame(serde_json::from_str(&text).expect("frames are JSON"));
                }
                Some(Ok(Message::Close(frame))) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    return Heard::Closed(code, reason);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Heard::Lost,
            }
        }
    }

    /// The close code, after whatever else comes.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Heard::Frame(_) => {}
                Heard::Closed(code, _) => return code,
                Heard::Lost => return 1006,
            }
        }
    }

    /// Closes with a code, or without one, and waits for the server's answer.
    pub async fn close(mut self, code: Option<u16>) -> u16 {
        let frame = code.map(|code| CloseFrame {
            code: CloseCode::from(code),
            reason: "".into(),
        });
        self.socket.close(frame).await.expect("the close frame is sent");
        self.closed().await
    }

    /// Sends a message as the client of a turn.
    pub async fn ask(&mut self, conversation: &str, turn: &str, message: &str) {
        self.say(json!({ "agentId": "planner", "conversationId": conversation, "turnId": turn, "message": message }))
            .await;
    }
}

/// What a socket gave.
pub enum Heard {
    Frame(Value),
    Closed(u16, String),
    Lost,
}

/// The tokens of frames, joined.
pub fn text(frames: &[Value]) -> String {
    frames.iter().filter_map(|frame| frame["token"].as_str()).collect()
}

/// The types of frames, in order, runs of tokens shown once.
pub fn kinds(frames: &[Value]) -> String {
    let mut kinds: Vec<&str> = frames.iter().filter_map(|frame| frame["type"].as_str()).collect();
    kinds.dedup();
    kinds.join(" ")
}

/// Checks that logged frames follow on `after` without a gap, and gives the last number.
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

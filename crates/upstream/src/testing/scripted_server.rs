//! A model server that sends the bytes of a test's script, and returns the requests that it received.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;

/// Capacity of the channels of received requests and closed connections: more than any test opens.
const MAX_CONNECTIONS: usize = 64;

/// What the server does next on a connection, after it has read the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Waits for [`ScriptedServer::go_on`].
    Wait,
    /// Sends nothing until the client closes the connection, which ends [`ScriptedServer::client_left`].
    Hang,
}

impl Step {
    /// Creates a step that sends a text.
    #[must_use]
    pub fn send(text: impl Into<String>) -> Self {
        Self::Send(text.into().into_bytes())
    }

    /// Creates a step that sends a status line and headers; the body ends with the connection.
    #[must_use]
    pub fn head(status: &str, content_type: &str) -> Self {
        Self::send(format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n"
        ))
    }
}

/// A request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// `POST /api/chat`, for example.
    pub line: String,
    /// All headers, one a line.
    pub headers: String,
    /// The body.
    pub body: String,
}

impl ReceivedRequest {
    /// Returns the fields of a JSON body, each field and each element of its lists on a line.
    ///
    /// # Panics
    /// If the body is not a JSON object.
    #[must_use]
    pub fn body_in_lines(&self) -> String {
        let body: Map<String, Value> = serde_json::from_str(&self.body).expect("the body is a JSON object");
        body.iter()
            .fold(String::new(), |lines, (name, field)| match field.as_array() {
                Some(list) => list.iter().fold(format!("{lines}{name}:\n"), |lines, element| {
                    format!("{lines}  {element}\n")
                }),
                None => format!("{lines}{name}: {field}\n"),
            })
    }
}

/// A server on a free port, until it is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    url: String,
    requests: Mutex<mpsc::Receiver<ReceivedRequest>>,
    left: Mutex<mpsc::Receiver<()>>,
    go_on: Arc<Notify>,
    task: JoinHandle<()>,
}

impl ScriptedServer {
    /// Plays one script for each connection, in order, and the last one for all further connections.
    ///
    /// # Panics
    /// If there is no script.
    pub async fn start(scripts: Vec<Vec<Step>>) -> Self {
        assert!(!scripts.is_empty(), "a server needs a script");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (requests, received_requests) = mpsc::channel(MAX_CONNECTIONS);
        let (left, left_receiver) = mpsc::channel(MAX_CONNECTIONS);
        let go_on = Arc::new(Notify::new());
        let signals = Signals {
            requests,
            left,
            go_on: Arc::clone(&go_on),
        };
        Self {
            url: format!("http://{address}"),
            requests: Mutex::new(received_requests),
            left: Mutex::new(left_receiver),
            go_on,
            task: tokio::spawn(serve(listener, scripts, signals)),
        }
    }

    /// Returns the server's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the next request.
    ///
    /// # Panics
    /// If the server has ended.
    pub async fn next_request(&self) -> ReceivedRequest {
        let mut requests = self.requests.lock().await;
        requests.recv().await.expect("the server runs as long as the test")
    }

    /// Returns how many received requests [`ScriptedServer::next_request`] hasn't returned.
    pub async fn n_requests(&self) -> usize {
        self.requests.lock().await.len()
    }

    /// Ends one [`Step::Wait`].
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// Waits until a client has closed its connection during a [`Step::Hang`].
    pub async fn client_left(&self) {
        self.left.lock().await.recv().await;
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The signals between the server's task and the test.
struct Signals {
    requests: mpsc::Sender<ReceivedRequest>,
    /// Sends a value when a client has left during a [`Step::Hang`].
    left: mpsc::Sender<()>,
    /// Ends a [`Step::Wait`].
    go_on: Arc<Notify>,
}

/// Serves one connection at a time until the task is aborted. A client that closes its connection ends only its script.
async fn serve(listener: TcpListener, scripts: Vec<Vec<Step>>, signals: Signals) {
    let mut scripts = scripts.into_iter().peekable();
    let mut script = Vec::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        script = scripts.next().unwrap_or(script);
        let Some(request) = read_request(&mut connection).await else {
            continue;
        };
        // Fails only if the receiver, and with it the `ScriptedServer`, was dropped.
        let _server_dropped = signals.requests.send(request).await;
        for step in &script {
            if play(&mut connection, step, &signals).await.is_err() {
                break;
            }
        }
        let _closed = connection.shutdown().await;
    }
}

async fn play(connection: &mut TcpStream, step: &Step, signals: &Signals) -> std::io::Result<()> {
    match step {
        Step::Send(bytes) => {
            connection.write_all(bytes).await?;
            connection.flush().await
        }
        Step::Wait => {
            signals.go_on.notified().await;
            Ok(())
        }
        Step::Hang => {
            let mut rest = [0; 64];
            while connection.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
            let _server_dropped = signals.left.send(()).await;
            Ok(())
        }
    }
}

/// Reads one request with a `Content-Length`; returns `None` if the client closes the connection before its end.
async fn read_request(connection: &mut TcpStream) -> Option<ReceivedRequest> {
    const END_OF_HEAD: &str = "\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once(END_OF_HEAD)
            && body.len() >= content_length(head)
        {
            let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
            return Some(ReceivedRequest {
                line: line.trim_end_matches(" HTTP/1.1").to_owned(),
                headers: headers.replace("\r\n", "\n"),
                body: body.to_owned(),
            });
        }
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn content_length(head: &str) -> usize {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

//! A model server that sends what a test wrote, byte for byte, and tells what it was asked.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;

/// More connections than any test makes.
const SEEN_CONNECTIONS: usize = 64;

/// What the server does next on a connection, after it has read the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends these bytes at once.
    Send(Vec<u8>),
    /// Waits for [`ScriptedServer::go_on`].
    Wait,
    /// Sends nothing until the client closes the connection, which [`ScriptedServer::client_left`] then tells.
    Hang,
}

impl Step {
    /// Sends a text.
    #[must_use]
    pub fn send(text: impl Into<String>) -> Self {
        Self::Send(text.into().into_bytes())
    }

    /// Sends a status line and headers; the body ends with the connection.
    #[must_use]
    pub fn head(status: &str, content_type: &str) -> Self {
        Self::send(format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n"
        ))
    }
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `POST /api/chat`, for example.
    pub line: String,
    /// All headers, one a line.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// Listens on a free port of this machine until it is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    url: String,
    asked: Mutex<mpsc::Receiver<Asked>>,
    left: Mutex<mpsc::Receiver<()>>,
    go_on: Arc<Notify>,
    task: JoinHandle<()>,
}

impl ScriptedServer {
    /// Plays one script a connection, in order, and the last one again for every further one.
    ///
    /// # Panics
    /// If there is no script.
    pub async fn start(scripts: Vec<Vec<Step>>) -> Self {
        assert!(!scripts.is_empty(), "a server needs a script");
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("this machine has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (asked, asked_receiver) = mpsc::channel(SEEN_CONNECTIONS);
        let (left, left_receiver) = mpsc::channel(SEEN_CONNECTIONS);
        let go_on = Arc::new(Notify::new());
        let stage = Stage {
            asked,
            left,
            go_on: Arc::clone(&go_on),
        };
        Self {
            url: format!("http://{address}"),
            asked: Mutex::new(asked_receiver),
            left: Mutex::new(left_receiver),
            go_on,
            task: tokio::spawn(serve(listener, scripts, stage)),
        }
    }

    /// Its address, as a setting would have it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the next request.
    ///
    /// # Panics
    /// If the server has ended.
    pub async fn asked(&self) -> Asked {
        let mut asked = self.asked.lock().await;
        asked.recv().await.expect("the server runs as long as the test")
    }

    /// How many requests have come that [`ScriptedServer::asked`] hasn't given.
    pub async fn n_asked(&self) -> usize {
        self.asked.lock().await.len()
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

/// What a connection tells and is told.
struct Stage {
    asked: mpsc::Sender<Asked>,
    left: mpsc::Sender<()>,
    go_on: Arc<Notify>,
}

/// One connection at a time, as long as the listener lives. A client that goes away ends only its own script.
async fn serve(listener: TcpListener, scripts: Vec<Vec<Step>>, stage: Stage) {
    let mut scripts = scripts.into_iter().peekable();
    let mut script = Vec::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        script = scripts.next().unwrap_or(script);
        let Some(asked) = read_request(&mut connection).await else {
            continue;
        };
        // A test that doesn't ask what was asked has closed nothing: the receiver lives in the server.
        let _told = stage.asked.send(asked).await;
        for step in &script {
            if play(&mut connection, step, &stage).await.is_err() {
                break;
            }
        }
        let _closed = connection.shutdown().await;
    }
}

async fn play(connection: &mut TcpStream, step: &Step, stage: &Stage) -> std::io::Result<()> {
    match step {
        Step::Send(bytes) => {
            connection.write_all(bytes).await?;
            connection.flush().await
        }
        Step::Wait => {
            stage.go_on.notified().await;
            Ok(())
        }
        Step::Hang => {
            let mut rest = [0; 64];
            while connection.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
            let _told = stage.left.send(()).await;
            Ok(())
        }
    }
}

/// Reads one request with a `Content-Length`; `None` if the client goes away before its end.
async fn read_request(connection: &mut TcpStream) -> Option<Asked> {
    const END_OF_HEAD: &str = "\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once(END_OF_HEAD)
            && body.len() >= content_length(head)
        {
            let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
            return Some(Asked {
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

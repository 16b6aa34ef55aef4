//! A client of server-sent events, which reads a conversation's log.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
pub struct SseEvent {
    pub id: Option<u64>,
    pub kind: String,
    pub data: Value,
}

/// A stream of server-sent events that is read block by block.
pub struct EventStream {
    connection: BufReader<TcpStream>,
    unread: String,
}

impl EventStream {
    pub async fn open(authority: &str, path: &str, headers: &str) -> Self {
        let opened = Self::try_open(authority, path, headers).await;
        let (stream, head) = opened.expect("the sidecar answers");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        stream
    }

    /// Opens a stream of a sidecar that may be gone; returns the head of the response too, which may be a refusal.
    pub async fn try_open(authority: &str, path: &str, headers: &str) -> io::Result<(Self, String)> {
        let mut connection = TcpStream::connect(authority).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\naccept: text/event-stream\r\n{headers}\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut connection = BufReader::new(connection);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let unread = String::new();
        Ok((Self { connection, unread }, head))
    }

    /// Reads the next block of lines; returns `None` at the stream's end.
    pub async fn block(&mut self) -> Option<String> {
        self.try_block().await.expect("a whole chunk")
    }

    /// Reads the next event; returns `None` at the stream's end.
    pub async fn next(&mut self) -> Option<SseEvent> {
        self.try_next().await.expect("a whole chunk")
    }

    /// Reads events up to and including the first of a type.
    pub async fn until(&mut self, kind: &str) -> Vec<SseEvent> {
        let mut events = Vec::new();
        loop {
            events.push(self.next().await.expect("the stream goes on"));
            if events.last().is_some_and(|event| event.kind == kind) {
                return events;
            }
        }
    }

    /// As [`EventStream::next`], for a sidecar that may go in the middle of it.
    pub async fn try_next(&mut self) -> io::Result<Option<SseEvent>> {
        loop {
            let Some(block) = self.try_block().await? else {
                return Ok(None);
            };
            if block.starts_with(':') {
                continue;
            }
            let mut event = SseEvent::default();
            for line in block.lines() {
                match line.split_once(": ").expect("a field has a value") {
                    ("id", id) => event.id = id.parse().ok(),
                    ("event", kind) => event.kind = kind.to_owned(),
                    ("data", data) => event.data = serde_json::from_str(data).expect("data is JSON"),
                    other => panic!("{other:?}"),
                }
            }
            return Ok(Some(event));
        }
    }

    async fn try_block(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some((block, rest)) = self.unread.split_once("\n\n") {
                let block = block.to_owned();
                self.unread = rest.to_owned();
                return Ok(Some(block));
            }
            let mut length = String::new();
            if self.connection.read_line(&mut length).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let length = usize::from_str_radix(length.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
            let mut chunk = vec![0; length + 2];
            self.connection.read_exact(&mut chunk).await?;
            if length == 0 {
                return Ok(None);
            }
            self.unread
                .push_str(std::str::from_utf8(&chunk[..length]).expect("events are UTF-8"));
        }
    }
}

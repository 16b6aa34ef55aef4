//! A model server that can't be relied on: it breaks off in the middle of a line, is busy, sends nonsense, calls tools,
//! or never ends.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use upstream::testing::recorded;

use super::random::Random;
use super::report::Report;

/// The beginning of an answer that never continues.
const ENDLESS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
     data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Well\"}}]}\n\n";

/// A server on a free port, until it is dropped.
pub struct ModelServer {
    pub url: String,
    task: JoinHandle<()>,
}

impl ModelServer {
    /// Starts it: each request gets a recorded answer, complete or cut off, or one without an end.
    pub async fn start(random: Random, report: Arc<Report>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answers = recorded("openai").into_iter();
        let answers: Vec<_> = answers
            .map(|answer| fs::read(answer.path).expect("it is there"))
            .collect();
        let (answers, random) = (Arc::new(answers), Arc::new(Mutex::new(random)));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut drawn = random.lock().unwrap_or_else(PoisonError::into_inner).clone();
                *random.lock().unwrap_or_else(PoisonError::into_inner) = drawn.part(1);
                let (answers, report) = (Arc::clone(&answers), Arc::clone(&report));
                tokio::spawn(async move {
                    // A client that disconnects ends only its own answer.
                    let _gone = answer(stream, &answers, &mut drawn, &report).await;
                });
            }
        });
        Self { url, task }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: TcpStream,
    answers: &[Vec<u8>],
    random: &mut Random,
    report: &Report,
) -> std::io::Result<()> {
    // Reads the head at least; the rest of the request doesn't matter.
    let mut request = [0; 4096];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    if random.once_in(6) {
        report.did("model server: answers that never end");
        stream.write_all(ENDLESS.as_bytes()).await?;
        while stream.read(&mut request).await? > 0 {}
        return Ok(());
    }
    let index = random.below(answers.len() as u64) as usize;
    let answer = answers.get(index).map_or(&[][..], Vec::as_slice);
    let cut = if random.once_in(4) {
        report.did("model server: answers cut off anywhere");
        random.below(answer.len() as u64 + 1) as usize
    } else {
        report.did("model server: whole answers, good and bad");
        answer.len()
    };
    stream.write_all(&answer[..cut]).await?;
    // Reads what the client still sends: closing with unread input would reset the connection and lose the answer.
    stream.shutdown().await?;
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}

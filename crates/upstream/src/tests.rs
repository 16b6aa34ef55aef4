//! Complete and broken answers of a scripted server, in a minimal wire format.

mod cancel;
mod failures;
mod lines;
mod retries;
mod server;

use std::time::Duration;

use engine::{Engine, EngineError, FinishReason, Request};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::testing::{Outcome, ScriptedServer, Step, request};
use crate::{
    AnswerEnd, Chunk, Decoder, Framing, Measurements, RemoteEngine, Server, Settings, Timeouts, UpstreamError, Wire,
    error_message,
};

/// Reads lines of `{"say": …}` and `{"think": …}`, then `{"end": "stop"}`; `{"error": …}` reports an error.
struct TestWire;

struct TestDecoder;

impl Wire for TestWire {
    type Decoder = TestDecoder;

    const PATH: &'static str = "/chat";

    const FRAMING: Framing = Framing::Lines;

    fn body(&self, request: &Request) -> Result<String, EngineError> {
        Ok(request.messages.iter().map(|message| message.text.as_str()).collect())
    }

    fn prompt(&self, request: &Request) -> Result<String, EngineError> {
        self.body(request)
    }

    fn decoder(&self) -> TestDecoder {
        TestDecoder
    }
}

impl Decoder for TestDecoder {
    fn read(&mut self, piece: &str) -> Result<Vec<Chunk>, UpstreamError> {
        let value: Value = serde_json::from_str(piece).map_err(|source| UpstreamError::malformed(piece, source))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if value.get("error").is_some() {
            return Err(UpstreamError::Reported {
                message: error_message(piece),
            });
        }
        let end = text("end").map(|_| {
            Chunk::End(AnswerEnd {
                reason: FinishReason::Stop,
                measurements: Measurements::default(),
            })
        });
        let text_chunk = text("say").map(Chunk::Text).into_iter();
        Ok(text_chunk
            .chain(text("think").map(Chunk::Reasoning))
            .chain(end)
            .collect())
    }

    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError> {
        Ok(None)
    }
}

/// Time-outs that no test reaches; a test of a time-out sets that one to `SHORT`.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(60),
    first_byte: Duration::from_secs(60),
    silence: Duration::from_secs(60),
    list: Duration::from_secs(60),
    back_off: Duration::from_millis(1),
};

/// The time-out that a test waits for.
const SHORT: Duration = Duration::from_millis(50);

fn settings(timeouts: Timeouts) -> Settings {
    Settings {
        timeouts,
        ..Settings::default()
    }
}

fn engine(url: &str, settings: Settings) -> RemoteEngine<TestWire> {
    let server = Server::new("Test", url, settings, Handle::current()).expect("the address is in order");
    RemoteEngine::new(server, TestWire, "test:m".to_owned())
}

fn head() -> Step {
    Step::head("200 OK", "application/x-ndjson")
}

/// Returns the script of a complete answer, `fine`.
fn fine() -> Vec<Step> {
    vec![head(), Step::send("{\"say\":\"fine\"}\n{\"end\":\"stop\"}\n")]
}

/// Sends one request and reads the answer to its end; the verdict shows the server's address as `URL`.
async fn ask(engine: &impl Engine, server: &ScriptedServer) -> (Outcome, String) {
    let mut generation = engine.generate(request("hello")).expect("a server's queue is its own");
    let outcome = Outcome::read(&mut generation).await;
    let verdict = outcome.verdict().replace(server.url(), "URL");
    (outcome, verdict)
}

/// Plays one script for each connection and checks the text and verdict of the first answer, and that the next turn
/// succeeds with a script that is added.
async fn check(timeouts: Timeouts, mut scripts: Vec<Vec<Step>>, text: &str, verdict: &str) {
    scripts.push(fine());
    let server = ScriptedServer::start(scripts).await;
    let engine = engine(server.url(), settings(timeouts));
    let (outcome, found) = ask(&engine, &server).await;
    assert_eq!((outcome.text.as_str(), found.as_str()), (text, verdict));
    // A time-out that is short for the test may be too short for the next turn on a busy computer.
    let next_engine = if timeouts == TIMEOUTS {
        engine
    } else {
        self::engine(server.url(), settings(TIMEOUTS))
    };
    let (next, found) = ask(&next_engine, &server).await;
    assert_eq!(
        (next.text.as_str(), found.as_str()),
        ("fine", "Stop"),
        "after {verdict}"
    );
}

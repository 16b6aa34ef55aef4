//! Answers of a scripted server, whole and broken, through a language that has only what every one has.

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
    Chunk, Decoder, End, Framing, RemoteEngine, Report, Server, Settings, Timeouts, UpstreamError, Wire, words_of,
};

/// Lines of `{"say": …}` and `{"think": …}`, then `{"end": "stop"}`; `{"error": …}` is a failure.
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
        let value: Value =
            serde_json::from_str(piece).map_err(|source| UpstreamError::not_understood(piece, source))?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        if value.get("error").is_some() {
            return Err(UpstreamError::Said { words: words_of(piece) });
        }
        let end = text("end").map(|_| {
            Chunk::End(End {
                reason: FinishReason::Stop,
                report: Report::default(),
            })
        });
        let said = text("say").map(Chunk::Text).into_iter();
        Ok(said.chain(text("think").map(Chunk::Reasoning)).chain(end).collect())
    }

    fn finish(&mut self) -> Result<Option<Vec<Chunk>>, UpstreamError> {
        Ok(None)
    }
}

/// Times that no test reaches unless it is about them, when they are `SHORT`.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(60),
    first_byte: Duration::from_secs(60),
    silence: Duration::from_secs(60),
    list: Duration::from_secs(60),
    back_off: Duration::from_millis(1),
};

/// For the one time that a test waits for.
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

/// A whole answer, `fine`.
fn fine() -> Vec<Step> {
    vec![head(), Step::send("{\"say\":\"fine\"}\n{\"end\":\"stop\"}\n")]
}

/// Asks once and reads to the end; the server's address is shown as `URL`.
async fn ask(engine: &impl Engine, server: &ScriptedServer) -> (Outcome, String) {
    let mut generation = engine.generate(request("hello")).expect("a server's queue is its own");
    let outcome = Outcome::read(&mut generation).await;
    let verdict = outcome.verdict().replace(server.url(), "URL");
    (outcome, verdict)
}

/// The scripts are one connection each; the answer to the first request is this text and verdict, and the next turn, whose
/// script is added, is fine.
async fn check(timeouts: Timeouts, mut scripts: Vec<Vec<Step>>, text: &str, verdict: &str) {
    scripts.push(fine());
    let server = ScriptedServer::start(scripts).await;
    let engine = engine(server.url(), settings(timeouts));
    let (outcome, said) = ask(&engine, &server).await;
    assert_eq!((outcome.text.as_str(), said.as_str()), (text, verdict));
    // Where a time is short for the test's sake, a busy machine may need more for the next turn.
    let next_engine = if timeouts == TIMEOUTS {
        engine
    } else {
        self::engine(server.url(), settings(TIMEOUTS))
    };
    let (next, said) = ask(&next_engine, &server).await;
    assert_eq!((next.text.as_str(), said.as_str()), ("fine", "Stop"), "after {verdict}");
}

//! Plays a scenario as its client against this server.

use std::collections::BTreeMap;
use std::fs;

use engine::ScriptedEngine;
use protocol::ApiKey;
use serde_json::{Value, json};
use streaming_llm_sidecar::settings::Settings;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::file::Scenario;
use super::hearing;
use super::matching::Names;
use super::recording::Recorder;
use crate::client::{Http, Socket, TestApp};

/// A scenario on its way.
struct Player {
    /// `None` while it changes, and when it has stopped.
    app: Option<TestApp>,
    change: Option<JoinHandle<Option<TestApp>>>,
    sockets: BTreeMap<String, Socket>,
    names: Names,
    /// Set when the file is to be written anew.
    recorder: Option<Recorder>,
}

/// Plays a file, and fails where the server says something else; with `UPDATE_EXPECT` set, writes down what it says.
pub async fn play(name: &str) {
    let scenario = Scenario::read(name);
    let needs = scenario.head["needs"].clone();
    let app = TestApp::start_with(scripted(), |settings| meet(&needs, settings)).await;
    let mut player = Player {
        app: Some(app),
        change: None,
        sockets: BTreeMap::new(),
        names: Names::default(),
        recorder: std::env::var_os("UPDATE_EXPECT").map(|_| Recorder::new(&scenario.lines)),
    };
    let mut written = Vec::new();
    let mut at = 0;
    while at < scenario.lines.len() {
        let rest = &scenario.lines[at..];
        let heard = rest.iter().take_while(|line| is_heard(line)).count();
        let done = match heard {
            0 => player.act(&rest[0]).await.map(|line| vec![line]),
            _ => player.hear(&rest[..heard]).await,
        };
        written.extend(done.unwrap_or_else(|why| panic!("{name}.jsonl:{}: {why}", at + 2)));
        at += heard.max(1);
    }
    if player.recorder.is_some() {
        scenario.write(&written);
    }
}

fn scripted() -> ScriptedEngine {
    ScriptedEngine::default().by_message()
}

fn is_heard(line: &Value) -> bool {
    line.get("gets").is_some() || line.get("closed").is_some()
}

/// Sets a server up as the head of a scenario needs it.
fn meet(needs: &Value, settings: &mut Settings) {
    let limits = &mut settings.limits;
    for (need, value) in needs.as_object().into_iter().flatten() {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match need.as_str() {
            "apiKey" => settings.api_key = value.as_str().map(|key| ApiKey::new(key.to_owned())),
            "helloTimeoutMs" => limits.hello_timeout_ms = number.expect("a number").into(),
            "conversationsPerSocket" => limits.conversations_per_socket = number.expect("a number"),
            "agents" => {
                fs::create_dir_all(&settings.agents_dir).expect("the folder can be made");
                for (id, text) in value.as_object().into_iter().flatten() {
                    let path = settings.agents_dir.join(format!("{id}.md"));
                    fs::write(path, text.as_str().expect("a file's text")).expect("the agent can be written");
                }
            }
            other => panic!("nobody knows how to meet {other:?}"),
        }
    }
}

impl Player {
    /// Does what one line says; the line, with what was answered if it is recorded.
    async fn act(&mut self, line: &Value) -> Result<Value, String> {
        if line.get("app").is_some() {
            return Ok(line.clone());
        }
        if let Some(change) = line["server"].as_str() {
            self.change(change).await;
            return Ok(line.clone());
        }
        if line.get("http").is_some() {
            return self.http(line).await;
        }
        let name = line["socket"].as_str().ok_or("the line has no socket")?;
        if line.get("opens").is_some() {
            self.open(name, line).await?;
        } else if let Some(code) = line.get("closes") {
            let code = code.as_u64().and_then(|code| u16::try_from(code).ok());
            let socket = self.sockets.remove(name).ok_or("the socket is not open")?;
            let answered = socket.close(code).await;
            if answered != code.unwrap_or(1005) {
                return Err(format!("the close was answered by {answered}"));
            }
        } else if line.get("breaks").is_some() {
            self.sockets.remove(name).ok_or("the socket is not open")?;
        } else {
            self.say(name, line).await?;
        }
        Ok(line.clone())
    }

    async fn say(&mut self, name: &str, line: &Value) -> Result<(), String> {
        let socket = self.sockets.get_mut(name).ok_or("the socket is not open")?;
        if let Some(frame) = line.get("sends") {
            socket.say(self.names.resolve(frame)).await;
        } else if let Some(text) = line["sendsText"].as_str() {
            socket.text(text.to_owned()).await;
        } else if let Some(raw) = line.get("sendsFrame") {
            for _ in 0..raw["times"].as_u64().unwrap_or(1) {
                socket.send(raw_frame(raw)).await;
            }
        } else {
            return Err(format!("nobody knows how to do {line}"));
        }
        Ok(())
    }

    async fn open(&mut self, name: &str, line: &Value) -> Result<(), String> {
        let headers: Vec<(&'static str, &str)> = ["origin", "authorization"]
            .into_iter()
            .filter_map(|header| Some((header, line["headers"][header].as_str()?)))
            .collect();
        let opened = Socket::open(&self.app().await.authority(), &headers).await;
        match (opened, line.get("refused")) {
            (Ok(socket), None) => {
                self.sockets.insert(name.to_owned(), socket);
                Ok(())
            }
            (Err(status), Some(refused)) if *refused == json!(status) => Ok(()),
            (opened, _) => Err(format!("the handshake ended with {:?}", opened.err())),
        }
    }

    async fn http(&mut self, line: &Value) -> Result<Value, String> {
        let request = self
            .names
            .resolve_text(line["http"].as_str().ok_or("an HTTP line names a path")?);
        let (method, path) = request.split_once(' ').ok_or("a method and a path")?;
        let headers = self.names.resolve(&line["headers"]);
        let headers: Vec<(&str, &str)> = headers
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        let body = line
            .get("body")
            .map(|body| self.names.resolve(body).to_string())
            .unwrap_or_default();
        let request = Http {
            method,
            path,
            headers: &headers,
            body: &body,
        };
        let answer = self.app().await.http(request).await;
        let mut line = line.clone();
        let body = serde_json::from_str::<Value>(&answer.body).ok();
        if let Some(recorder) = &self.recorder {
            line["answers"] = json!(answer.status);
            if let Some(body) = &body {
                line["with"] = recorder.write(&mut self.names, &["with"], body);
            }
            return Ok(line);
        }
        self.names.check(&line["answers"], &json!(answer.status))?;
        match line.get("with") {
            Some(expected) => self.names.check(expected, &body.unwrap_or_default()).map(|()| line),
            None => Ok(line),
        }
    }

    /// Checks, or takes down, what sockets hear until something else happens.
    async fn hear(&mut self, lines: &[Value]) -> Result<Vec<Value>, String> {
        let mut written = Vec::new();
        let mut names: Vec<&Value> = Vec::new();
        for line in lines {
            if !names.contains(&&line["socket"]) {
                names.push(&line["socket"]);
            }
        }
        for name in names {
            let own: Vec<Value> = lines.iter().filter(|line| line["socket"] == *name).cloned().collect();
            let key = name.as_str().ok_or("the line has no socket")?;
            let socket = self.sockets.get_mut(key).ok_or("the socket is not open")?;
            let Some(recorder) = &self.recorder else {
                hearing::check(socket, &own, &mut self.names).await?;
                continue;
            };
            for mut line in hearing::record(socket, &own, &mut self.names, recorder).await? {
                line["socket"] = name.clone();
                written.push(line);
            }
        }
        Ok(written)
    }

    async fn change(&mut self, change: &str) {
        let app = self.app().await;
        if change == "drains" {
            app.running().refuse_turns();
            return;
        }
        let app = self.app.take().expect("it runs");
        let restarts = change == "restarts";
        // Its sockets have to be read for it to end.
        self.change = Some(tokio::spawn(async move {
            if restarts {
                return Some(app.restart(scripted()).await);
            }
            app.stop().await;
            None
        }));
    }

    /// The app, once it is there again.
    async fn app(&mut self) -> &TestApp {
        if let Some(change) = self.change.take() {
            self.app = change.await.expect("the app stops");
        }
        self.app.as_ref().expect("the server runs")
    }
}

fn raw_frame(raw: &Value) -> Message {
    let hex = raw["hex"].as_str().unwrap_or_default();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let opcode = raw["opcode"].as_u64().and_then(|opcode| u8::try_from(opcode).ok());
    let opcode = OpCode::from(opcode.expect("an opcode"));
    Message::Frame(Frame::message(bytes, opcode, raw["fin"] != json!(false)))
}

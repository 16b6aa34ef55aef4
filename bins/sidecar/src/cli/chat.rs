//! `sidecar chat`: a conversation in the terminal, over the same WebSocket that every client uses.
//!
//! It talks to the sidecar that runs on the configured port. When none does, it starts one inside this process, on a free
//! loopback port and with the same settings, for as long as the chat lasts.

use std::net::Ipv4Addr;

use clap::Args;
use protocol::{Envelope, ErrorEvent, Hello, OptionsPatch, ServerEvent, Setting};
use serde::Deserialize;
use serde_json::json;

use super::Failure;
use super::terminal::{Input, Terminal, on_interrupt};
use super::wire::Wire;
use crate::app::{App, Running};
use crate::settings::{Loaded, Settings};
use crate::{Engines, logging};

/// The arguments of `chat`.
#[derive(Debug, Args)]
pub(super) struct ChatArguments {
    /// Agent that answers
    #[arg(long, value_name = "ID", default_value = "planner")]
    agent: String,
    /// Model that answers, one of those that the sidecar allows; the agent's own without it
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Conversation to go on with; a new one without it
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
}

/// What the server says, with what every frame carries.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(flatten)]
    event: ServerEvent,
    #[serde(flatten)]
    envelope: Envelope,
}

/// Chats until `/quit`, the end of the input, or Ctrl-C at the prompt.
pub(super) async fn chat(loaded: Loaded, arguments: ChatArguments) -> Result<(), Failure> {
    let (wire, own) = connect(loaded, &arguments).await?;
    let mut talk = Talk {
        wire,
        terminal: Terminal::open()?,
        conversation: arguments.conversation,
    };
    let outcome = talk.run().await;
    if let Some(conversation) = &talk.conversation {
        talk.terminal.note(&format!(
            "continue with: sidecar chat --agent {} --conversation {conversation}",
            arguments.agent
        ));
    }
    talk.wire.close().await;
    if let Some((running, _logs)) = own {
        running.stop().await?;
    }
    outcome
}

/// A sidecar of this process, and what keeps its log file open.
type Own = (Running, tracing_appender::non_blocking::WorkerGuard);

/// Opens a socket to the running sidecar, or to one of our own, and greets.
async fn connect(loaded: Loaded, arguments: &ChatArguments) -> Result<(Wire, Option<Own>), Failure> {
    let settings = loaded.settings;
    let url = socket_url(&settings);
    let key = settings.api_key.clone();
    let (mut wire, own) = match Wire::open(&url, key.as_ref()).await? {
        Some(wire) => (wire, None),
        None => {
            eprintln!("no sidecar at {url}: starting one for this chat");
            let own = start_own(settings).await?;
            let url = format!("{}/ws/chat", own.0.url().replacen("http", "ws", 1));
            (
                Wire::open(&url, key.as_ref())
                    .await?
                    .ok_or("the sidecar of this chat does not answer")?,
                Some(own),
            )
        }
    };
    let hello = Hello {
        agent_id: Some(arguments.agent.clone()),
        conversation_id: arguments.conversation.clone(),
        options: OptionsPatch {
            model: arguments.model.clone().map_or(Setting::Absent, Setting::Value),
            ..OptionsPatch::default()
        },
        ..Hello::default()
    };
    wire.say(&protocol::ClientMessage::Hello(hello)).await?;
    let frame = wire.hear().await?;
    match serde_json::from_str::<Said>(&frame)?.event {
        ServerEvent::Error(error) => Err(error.message.into()),
        _ => Ok((wire, own)),
    }
}

/// Where the running sidecar is to be found: an address that means every interface is reached through this machine's own.
fn socket_url(settings: &Settings) -> String {
    let host = match settings.host.as_str() {
        "0.0.0.0" | "::" | "[::]" => "localhost".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    };
    format!("ws://{host}:{}/ws/chat", settings.port)
}

async fn start_own(mut settings: Settings) -> Result<Own, Failure> {
    let logs = logging::start(&settings.log_dir, logging::Stderr::Silent)?;
    settings.host = Ipv4Addr::LOCALHOST.to_string();
    settings.port = 0;
    let engines = Engines::open(&settings)?;
    Ok((App::start(settings, engines).await?, logs))
}

/// One chat.
struct Talk {
    wire: Wire,
    terminal: Terminal,
    conversation: Option<String>,
}

impl Talk {
    async fn run(&mut self) -> Result<(), Failure> {
        self.terminal.note("/quit ends the chat, Ctrl-C stops an answer");
        loop {
            match self.read().await? {
                Input::End => return Ok(()),
                Input::Line(line) if line.trim() == "/quit" => return Ok(()),
                Input::Line(line) if line.trim().is_empty() => {}
                Input::Line(line) => self.turn(&line).await?,
            }
        }
    }

    /// Waits for the next line. The socket is read meanwhile, so that it answers the sidecar's pings and its end is noticed.
    async fn read(&mut self) -> Result<Input, Failure> {
        let broken = async {
            loop {
                if let Err(why) = self.wire.hear().await {
                    break why;
                }
            }
        };
        tokio::select! {
            input = self.terminal.read("> ") => input,
            why = broken => Err(why),
        }
    }

    /// Says one message and shows its answer as it comes.
    async fn turn(&mut self, message: &str) -> Result<(), Failure> {
        let turn_id = uuid::Uuid::now_v7().to_string();
        self.wire
            .text(json!({ "type": "message", "message": message, "turnId": turn_id }).to_string())
            .await?;
        let mut interrupts = on_interrupt()?;
        let mut cancelled = false;
        loop {
            let frame = tokio::select! {
                frame = self.wire.hear() => frame?,
                _ = interrupts.recv() => {
                    if cancelled {
                        return Err("stopped before the answer ended".into());
                    }
                    cancelled = true;
                    self.wire.text(json!({ "type": "cancel", "turnId": turn_id }).to_string()).await?;
                    continue;
                }
            };
            // A newer sidecar may say things that this one has no words for.
            let Ok(said) = serde_json::from_str::<Said>(&frame) else {
                continue;
            };
            if said.envelope.turn_id.as_deref() == Some(&turn_id) && self.show(said)? {
                return Ok(());
            }
        }
    }

    /// Shows one event of the running turn; true when it was its last.
    fn show(&mut self, said: Said) -> Result<bool, Failure> {
        match said.event {
            ServerEvent::Token(token) => self.terminal.write(&token.token)?,
            ServerEvent::User(_) => self.conversation = said.envelope.conversation_id,
            ServerEvent::Done(_) => {
                self.terminal.write("\n")?;
                return Ok(true);
            }
            ServerEvent::Error(ErrorEvent { message, .. }) => {
                self.terminal.write("\n")?;
                self.terminal.note(&format!("error: {message}"));
                return Ok(true);
            }
            ServerEvent::Tool(tool) => {
                let asked = format!("\nasks for {} {}", tool.name, tool.payload);
                self.terminal.note(&asked);
            }
            ServerEvent::ToolOutput(output) => self.terminal.note(&format!("{} gave {}", output.name, output.payload)),
            ServerEvent::Narration(narration) => self.terminal.note(&narration.text),
            ServerEvent::Ready(_)
            | ServerEvent::Queued(_)
            | ServerEvent::Reasoning(_)
            | ServerEvent::StepStart(_)
            | ServerEvent::Step(_)
            | ServerEvent::StepFinish(_)
            | ServerEvent::Summary(_)
            | ServerEvent::Started(_)
            | ServerEvent::Evicted(_)
            | ServerEvent::Pong(_)
            | ServerEvent::Reset(_) => {}
        }
        Ok(false)
    }
}

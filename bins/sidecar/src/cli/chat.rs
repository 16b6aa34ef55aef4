//! `sidecar chat`: a conversation in the terminal, over the same WebSocket that every client uses.
//!
//! Connects to the sidecar on the configured port. When none runs, starts one inside this process, on a free loopback
//! port and with the same settings, for as long as the chat lasts.

use std::net::Ipv4Addr;

use clap::Args;
use protocol::{Envelope, ErrorEvent, Hello, OptionsPatch, ServerEvent, Setting};
use serde::Deserialize;
use serde_json::json;

use super::socket_client::SocketClient;
use super::terminal::{Input, Terminal, on_interrupt};
use crate::app::{App, Running};
use crate::error::CommandError;
use crate::logging;
use crate::models::Engines;
use crate::settings::{Loaded, Settings};

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

/// A server event with its envelope.
#[derive(Debug, Deserialize)]
struct ReceivedEvent {
    #[serde(flatten)]
    event: ServerEvent,
    #[serde(flatten)]
    envelope: Envelope,
}

/// Chats until `/quit`, the end of the input, or Ctrl-C at the prompt.
pub(super) async fn chat(loaded: Loaded, arguments: ChatArguments) -> Result<(), CommandError> {
    let (client, own) = connect(loaded, &arguments).await?;
    let mut session = ChatSession {
        client,
        terminal: Terminal::open()?,
        conversation: arguments.conversation,
    };
    let outcome = session.run().await;
    if let Some(conversation) = &session.conversation {
        session.terminal.print_note(&format!(
            "continue with: sidecar chat --agent {} --conversation {conversation}",
            arguments.agent
        ));
    }
    session.client.close().await;
    if let Some((running, _logs)) = own {
        running.stop().await?;
    }
    outcome
}

/// A sidecar in this process, and the guard that keeps its log file open.
type OwnSidecar = (Running, tracing_appender::non_blocking::WorkerGuard);

/// Connects to the running sidecar, or to one of our own, and sends the hello.
async fn connect(
    loaded: Loaded,
    arguments: &ChatArguments,
) -> Result<(SocketClient, Option<OwnSidecar>), CommandError> {
    let settings = loaded.settings;
    let url = socket_url(&settings);
    let key = settings.api_key.clone();
    let (mut client, own) = match SocketClient::open(&url, key.as_ref()).await? {
        Some(client) => (client, None),
        None => {
            eprintln!("no sidecar at {url}: starting one for this chat");
            let own = start_own(settings).await?;
            let url = format!("{}/ws/chat", own.0.url().replacen("http", "ws", 1));
            (
                SocketClient::open(&url, key.as_ref())
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
    client.send(&protocol::ClientMessage::Hello(hello)).await?;
    let frame = client.recv().await?;
    match serde_json::from_str::<ReceivedEvent>(&frame)?.event {
        ServerEvent::Error(error) => Err(error.message.into()),
        _ => Ok((client, own)),
    }
}

/// Returns the URL of the running sidecar: an unspecified address is reached through `localhost`.
fn socket_url(settings: &Settings) -> String {
    let host = match settings.host.as_str() {
        "0.0.0.0" | "::" | "[::]" => "localhost".to_owned(),
        host if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        host => host.to_owned(),
    };
    format!("ws://{host}:{}/ws/chat", settings.port)
}

async fn start_own(mut settings: Settings) -> Result<OwnSidecar, CommandError> {
    let logs = logging::start(&settings.log_dir, logging::Stderr::Silent)?;
    settings.host = Ipv4Addr::LOCALHOST.to_string();
    settings.port = 0;
    let engines = Engines::open(&settings)?;
    Ok((App::start(settings, engines).await?, logs))
}

/// One chat in the terminal.
struct ChatSession {
    client: SocketClient,
    terminal: Terminal,
    conversation: Option<String>,
}

impl ChatSession {
    async fn run(&mut self) -> Result<(), CommandError> {
        self.terminal.print_note("/quit ends the chat, Ctrl-C stops an answer");
        loop {
            match self.read().await? {
                Input::End => return Ok(()),
                Input::Line(line) if line.trim() == "/quit" => return Ok(()),
                Input::Line(line) if line.trim().is_empty() => {}
                Input::Line(line) => self.turn(&line).await?,
            }
        }
    }

    /// Waits for the next line. The socket is read meanwhile, so that it answers the sidecar's pings and its end is
    /// noticed.
    async fn read(&mut self) -> Result<Input, CommandError> {
        let broken = async {
            loop {
                if let Err(why) = self.client.recv().await {
                    break why;
                }
            }
        };
        tokio::select! {
            input = self.terminal.read("> ") => input,
            why = broken => Err(why),
        }
    }

    /// Sends one message and prints its answer as it arrives.
    async fn turn(&mut self, message: &str) -> Result<(), CommandError> {
        let turn_id = uuid::Uuid::now_v7().to_string();
        self.client
            .send_text(json!({ "type": "message", "message": message, "turnId": turn_id }).to_string())
            .await?;
        let mut interrupts = on_interrupt()?;
        let mut cancelled = false;
        loop {
            let frame = tokio::select! {
                frame = self.client.recv() => frame?,
                _ = interrupts.recv() => {
                    if cancelled {
                        return Err("stopped before the answer ended".into());
                    }
                    cancelled = true;
                    self.client.send_text(json!({ "type": "cancel", "turnId": turn_id }).to_string()).await?;
                    continue;
                }
            };
            // A newer sidecar may send events that this one doesn't know.
            let Ok(received) = serde_json::from_str::<ReceivedEvent>(&frame) else {
                continue;
            };
            if received.envelope.turn_id.as_deref() == Some(&turn_id) && self.show(received)? {
                return Ok(());
            }
        }
    }

    /// Prints one event of the running turn; returns true if it was the last one.
    fn show(&mut self, received: ReceivedEvent) -> Result<bool, CommandError> {
        match received.event {
            ServerEvent::Token(token) => self.terminal.write(&token.token)?,
            ServerEvent::User(_) => self.conversation = received.envelope.conversation_id,
            ServerEvent::Done(_) => {
                self.terminal.write("\n")?;
                return Ok(true);
            }
            ServerEvent::Error(ErrorEvent { message, .. }) => {
                self.terminal.write("\n")?;
                self.terminal.print_note(&format!("error: {message}"));
                return Ok(true);
            }
            ServerEvent::Tool(tool) => {
                let asked = format!("\nasks for {} {}", tool.name, tool.payload);
                self.terminal.print_note(&asked);
            }
            ServerEvent::ToolOutput(output) => self
                .terminal
                .print_note(&format!("{} gave {}", output.name, output.payload)),
            ServerEvent::Narration(narration) => self.terminal.print_note(&narration.text),
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

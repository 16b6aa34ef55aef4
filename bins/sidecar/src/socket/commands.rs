//! The commands of a client: start and cancel turns, follow and leave conversations.
//!
//! A command that fails is answered by an `error` frame and leaves the socket open; a first frame that fails ends it.

use chat::{RegenerateCommand, TurnCommand, TurnHandle};
use protocol::{
    Cancel, ClientMessage, Envelope, ErrorCode, ErrorEvent, Hello, Leave, Message, PROTOCOL_VERSION, Ping, Pong, Ready,
    Regenerate, Reset, Resume, ServerEvent, ToolAnswer,
};

use super::binding::Binding;
use super::close::End;
use super::connection::Connection;
use super::follow::LogReader;
use crate::api_error::ApiError;
use crate::codes::close_code;
use crate::turn_owners::TurnRef;

impl Connection {
    /// Handles a text frame.
    ///
    /// # Errors
    /// The end of a socket whose first frame was refused.
    pub(super) async fn handle_text(&mut self, text: &str) -> Result<(), End> {
        let result = match ClientMessage::parse(text) {
            Ok(message) => self.dispatch(message).await,
            Err(error) => Err(ApiError::new(error.code(), error.to_string())),
        };
        let Err(fault) = result else {
            self.greeted = true;
            return Ok(());
        };
        tracing::debug!(socket = self.permit.id, code = fault.code.as_str(), "frame refused");
        self.send_event(
            &ServerEvent::Error(ErrorEvent::new(fault.code, fault.detail.clone())),
            &ClientMessage::subject(text),
        )
        .await;
        if self.greeted {
            Ok(())
        } else {
            Err(End::Refused(close_code(fault.code), fault.detail))
        }
    }

    async fn dispatch(&mut self, message: ClientMessage) -> Result<(), ApiError> {
        self.authorise(&message)?;
        match message {
            ClientMessage::Hello(hello) => self.hello(&hello).await,
            ClientMessage::Message(message) => self.message(message).await,
            ClientMessage::Regenerate(regenerate) => self.regenerate(regenerate).await,
            ClientMessage::Cancel(cancel) => self.cancel(cancel).await,
            ClientMessage::Resume(resume) => self.resume(resume).await,
            ClientMessage::Leave(Leave { conversation_id }) => {
                self.following.remove(&conversation_id);
                Ok(())
            }
            ClientMessage::ToolOutput(answer) => self.tool_output(answer),
            ClientMessage::Ping(Ping { id }) => {
                self.send_event(&ServerEvent::Pong(Pong { id }), &Envelope::default())
                    .await;
                Ok(())
            }
        }
    }

    /// Checks the key of a first frame.
    fn authorise(&mut self, message: &ClientMessage) -> Result<(), ApiError> {
        if self.authorised {
            return Ok(());
        }
        let presented = match message {
            ClientMessage::Hello(hello) => hello.api_key.as_ref(),
            ClientMessage::Message(message) => message.api_key.as_ref(),
            ClientMessage::Regenerate(regenerate) => regenerate.api_key.as_ref(),
            ClientMessage::Resume(resume) => resume.api_key.as_ref(),
            ClientMessage::Cancel(_)
            | ClientMessage::Leave(_)
            | ClientMessage::ToolOutput(_)
            | ClientMessage::Ping(_) => None,
        };
        self.state
            .access
            .check_key(presented.map(protocol::ApiKey::expose), self.client)?;
        self.authorised = true;
        Ok(())
    }

    async fn hello(&mut self, hello: &Hello) -> Result<(), ApiError> {
        self.state.check_serving()?;
        if let Some(agent_id) = &hello.agent_id {
            self.state.check_agent(agent_id).await?;
        }
        let last_seq = match &hello.conversation_id {
            Some(id) => self
                .state
                .store
                .conversation(id)
                .await?
                .map_or(0, |conversation| conversation.last_seq),
            None => 0,
        };
        self.binding = Binding::from(hello);
        self.send_ready(last_seq).await;
        Ok(())
    }

    async fn message(&mut self, message: Message) -> Result<(), ApiError> {
        let is_first = !self.greeted;
        let mut binding = if is_first {
            Binding::from(&message)
        } else {
            std::mem::take(&mut self.binding)
        };
        let is_unnamed = message.conversation_id.is_none();
        let started = self.start_turn(&binding, message).await;
        if let Ok((turn, _)) = &started
            && is_unnamed
        {
            binding.conversation_id = Some(turn.conversation.clone());
        }
        self.binding = binding;
        let (turn, first_seq) = started?;
        let before = first_seq.saturating_sub(1);
        if is_first {
            self.send_ready(before).await;
        }
        self.notify_queue_position(&turn);
        self.notify_persist_failures(&turn);
        self.follow_turn(turn, before);
        Ok(())
    }

    /// Starts the turn, or joins it, and takes ownership.
    async fn start_turn(&mut self, binding: &Binding, message: Message) -> Result<(TurnRef, u64), ApiError> {
        let conversation_id = message.conversation_id.or_else(|| binding.conversation_id.clone());
        if let Some(id) = &conversation_id {
            self.check_follow_limit(id)?;
        }
        let agent_id = message.agent_id.or_else(|| binding.agent_id.clone());
        let agent_id =
            agent_id.ok_or_else(|| ApiError::new(ErrorCode::InvalidRequest, "key \"agentId\" is missing"))?;
        let command = TurnCommand {
            agent_id,
            conversation_id,
            turn_id: message.turn_id,
            parent_turn_id: message.parent_turn_id,
            edit_turn_id: message.edit_turn_id,
            message: message.message,
            hello_options: binding.options.clone(),
            options: message.options,
            tools: message.tools,
        };
        self.state.access.count_start(self.client)?;
        self.forget_ended().await?;
        let handle = self.state.start_turn(command).await?;
        Ok(self.own_turn(handle))
    }

    /// Takes ownership of a turn that was started or joined; returns the turn and its first `seq`.
    fn own_turn(&mut self, handle: TurnHandle) -> (TurnRef, u64) {
        let turn = TurnRef {
            conversation: handle.conversation_id,
            turn_id: handle.turn_id,
        };
        self.state.owners.assign(turn.clone(), self.permit.id);
        if handle.joined {
            self.rewind_follower(&turn, handle.first_seq.saturating_sub(1));
        }
        (turn, handle.first_seq)
    }

    async fn regenerate(&mut self, regenerate: Regenerate) -> Result<(), ApiError> {
        let named = regenerate
            .conversation_id
            .or_else(|| self.binding.conversation_id.clone());
        let conversation_id = named.ok_or_else(|| turn_not_found(&regenerate.turn_id))?;
        self.check_follow_limit(&conversation_id)?;
        self.state.access.count_start(self.client)?;
        self.forget_ended().await?;
        let command = RegenerateCommand {
            conversation_id,
            turn_id: regenerate.turn_id,
            new_turn_id: regenerate.new_turn_id,
            hello_options: self.binding.options.clone(),
            options: regenerate.options,
            tools: regenerate.tools,
        };
        let handle = self.state.regenerate(command).await?;
        let (turn, first_seq) = self.own_turn(handle);
        self.notify_queue_position(&turn);
        self.notify_persist_failures(&turn);
        self.follow_turn(turn, first_seq.saturating_sub(1));
        Ok(())
    }

    /// Forgets the owners of turns that have ended, once there are many.
    async fn forget_ended(&self) -> Result<(), ApiError> {
        if let Some(owned) = self.state.owners.prune_candidates() {
            let running = self.state.store.running().await?.into_iter().map(|turn| TurnRef {
                conversation: turn.conversation,
                turn_id: turn.turn_id,
            });
            self.state.owners.prune(&owned, &running.collect());
        }
        Ok(())
    }

    /// Makes the socket follow a joined turn from its start. A follower that hasn't reached the turn yet stays: the
    /// turn is still to come, and nothing before it may be skipped.
    fn rewind_follower(&mut self, turn: &TurnRef, before: u64) {
        let reader = self.following.get(&turn.conversation);
        if reader.is_some_and(|reader| reader.position() > before) {
            self.following.remove(&turn.conversation);
        }
    }

    /// Follows the turn's conversation from `before` on, unless the socket follows it already: then the turn is still
    /// to come.
    fn follow_turn(&mut self, turn: TurnRef, before: u64) {
        if !self.following.contains_key(&turn.conversation) {
            let follower = self.log_reader().start(turn.conversation.clone(), before);
            self.following.insert(turn.conversation, follower);
        }
    }

    async fn resume(&mut self, resume: Resume) -> Result<(), ApiError> {
        let id = resume.conversation_id;
        self.check_follow_limit(&id)?;
        let conversation = self.state.store.conversation(&id).await?;
        let unknown = || {
            ApiError::new(
                ErrorCode::ConversationNotFound,
                format!("conversation {id:?} not found"),
            )
        };
        let last_seq = conversation.ok_or_else(unknown)?.last_seq;
        if resume.own {
            for turn_id in self.state.running_in(&id).await? {
                let turn = TurnRef {
                    conversation: id.clone(),
                    turn_id,
                };
                self.notify_persist_failures(&turn);
                self.state.owners.assign(turn, self.permit.id);
            }
        }
        // The old follower stops before the new one starts, so that no event is sent twice.
        self.following.remove(&id);
        let after = resume.after.unwrap_or(last_seq);
        if after > last_seq {
            let about = Envelope {
                conversation_id: Some(id.clone()),
                ..Envelope::default()
            };
            self.send_event(&ServerEvent::Reset(Reset { last_seq }), &about).await;
        }
        let follower = self.log_reader().start(id.clone(), after.min(last_seq));
        self.following.insert(id, follower);
        Ok(())
    }

    async fn cancel(&mut self, cancel: Cancel) -> Result<(), ApiError> {
        let owned = self.state.owners.owned_by(self.permit.id);
        let Some(turn_id) = cancel.turn_id else {
            self.cancel_all(owned).await;
            return Ok(());
        };
        let conversation = cancel
            .conversation_id
            .or_else(|| {
                owned
                    .into_iter()
                    .find(|turn| turn.turn_id == turn_id)
                    .map(|turn| turn.conversation)
            })
            .or_else(|| self.binding.conversation_id.clone());
        let conversation = conversation.ok_or_else(|| turn_not_found(&turn_id))?;
        self.state.cancel(&conversation, &turn_id).await
    }

    /// Submits a tool's output, also for a turn that another socket owns: any client that has the tool may answer.
    fn tool_output(&mut self, answer: ToolAnswer) -> Result<(), ApiError> {
        let named = answer.conversation_id.or_else(|| {
            let owned = self.state.owners.owned_by(self.permit.id).into_iter();
            let mut of_turn = owned.filter(|turn| turn.turn_id == answer.turn_id);
            of_turn.next().map(|turn| turn.conversation)
        });
        let conversation = named
            .or_else(|| self.binding.conversation_id.clone())
            .ok_or_else(|| turn_not_found(&answer.turn_id))?;
        let chat = &self.state.chat;
        chat.tool_output(&conversation, &answer.turn_id, &answer.call_id, answer.output)?;
        Ok(())
    }

    /// Refuses to follow one conversation too many. Followers of deleted conversations are removed first.
    fn check_follow_limit(&mut self, conversation: &str) -> Result<(), ApiError> {
        let limit = self.state.limits.conversations_per_socket;
        self.following.retain(|_, reader| !reader.is_over());
        if self.following.len() < limit as usize || self.following.contains_key(conversation) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::Busy,
            format!("this socket reads {limit} conversations, which is the limit: leave one"),
        ))
    }

    fn log_reader(&self) -> LogReader {
        LogReader {
            store: self.state.store.clone(),
            outbound: self.outbound.clone(),
            owners: self.state.owners.clone(),
            ending: self.ending.subscribe(),
        }
    }

    async fn send_ready(&self, last_seq: u64) {
        let ready = Ready {
            protocol: PROTOCOL_VERSION,
            agent_id: self.binding.agent_id.clone(),
            model: self.state.engines.models.default_model().to_owned(),
            limits: self.state.limits.clone(),
            last_seq,
            boot_id: self.state.boot_id.clone(),
        };
        let about = Envelope {
            conversation_id: self.binding.conversation_id.clone(),
            ..Envelope::default()
        };
        self.send_event(&ServerEvent::Ready(ready), &about).await;
    }

    /// Sends an event that is in no log. A writer that is gone is noticed in the loop.
    async fn send_event(&self, event: &ServerEvent, about: &Envelope) {
        let _ = self.outbound.text(event.frame(about)).await;
    }
}

fn turn_not_found(turn_id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::ConversationNotFound,
        format!("turn {turn_id:?} not found: name its conversation"),
    )
}

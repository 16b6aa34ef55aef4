//! Ends a turn's run: writes the terminal event, however long the disk refuses it, or leaves the turn open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conversation_store::{EndTurn, StoreError};
use protocol::{ErrorCode, ErrorEvent};
use tokio::task::JoinError;

use super::context::TurnContext;
use super::ending::Ending;
use super::log::TurnLog;
use crate::error::ChatError;
use crate::signals::{StopSignal, TurnReporter, TurnSignals};

/// First wait before writing a terminal event is retried; doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Longest such wait, so that room on a full disk is soon noticed.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Writes the terminal event. If the disk refuses it, this is retried until the process is about to end; then the turn
/// is found at the next start.
pub(super) async fn write(mut log: TurnLog, ending: Ending, mut signals: TurnSignals) {
    let ending = match log.flush().await {
        Err(error) if matches!(ending, Ending::Finished(_)) => Ending::Failed(ChatError::Store(error).event()),
        Err(_) | Ok(()) => ending,
    };
    let mut end = log.end_turn(&ending);
    let mut wait = FIRST_RETRY;
    loop {
        match try_write(&log, &end, &ending).await {
            // A conversation that was deleted meanwhile needs no end.
            Ok(()) | Err(StoreError::Gone { .. }) => return,
            Err(error @ (StoreError::Write { .. } | StoreError::Read { .. })) => {
                report_persist_failure(log.context(), &signals.reporter, &error);
            }
            Err(StoreError::IllegalTransition { from, .. }) if !from.is_terminal() => {
                let error = ErrorEvent::new(
                    ErrorCode::Internal,
                    "the engine finished an answer that it had not started",
                );
                end = log.end_turn(&Ending::Failed(error));
                continue;
            }
            Err(error) => return warn(log.context(), &error),
        }
        // A signal that came while the turn ran is not received again below.
        if signals.stop.is_shutdown() {
            return;
        }
        tokio::select! {
            signal = signals.stop.changed() => if signal == StopSignal::Shutdown { return },
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_RETRY),
        }
    }
}

/// Waits until all appends are committed, and writes no terminal event.
pub(super) async fn leave_open(mut log: TurnLog) {
    if let Err(error) = log.flush().await {
        warn(log.context(), &error);
    }
    let (conversation, turn) = (&log.context().conversation, &log.context().turn_id);
    tracing::info!(conversation, turn, "a turn that waits for a tool is left open");
}

/// Writes the terminal event of a turn whose task has panicked.
pub(crate) async fn fail_after_panic(context: &Arc<TurnContext>, signals: TurnSignals, error: &JoinError) {
    tracing::error!(conversation = context.conversation, turn = context.turn_id, %error, "a turn's task panicked");
    let error = ErrorEvent::new(ErrorCode::Internal, "the turn met a fault of the server");
    let log = TurnLog::new(Arc::clone(context), false);
    write(log, Ending::Failed(error), signals).await;
}

/// Writes the terminal event once, and counts the turn if that succeeds.
async fn try_write(log: &TurnLog, end: &EndTurn, ending: &Ending) -> Result<(), StoreError> {
    let TurnContext {
        services,
        conversation,
        turn_id: turn,
        ..
    } = log.context();
    let written_at = Instant::now();
    services.store.end_turn(end.clone()).await?;
    services.metrics.committed(written_at.elapsed());
    services.metrics.ended(end.state, ending.finished());
    let state = end.state.as_str();
    tracing::info!(conversation, turn, state, tokens = log.tokens(), "a turn has ended");
    Ok(())
}

/// Reports to the turn's followers that its end can't be written, which the log itself can't show.
fn report_persist_failure(context: &TurnContext, reporter: &TurnReporter, error: &StoreError) {
    warn(context, error);
    let message = format!("the end of the turn can't be stored yet, and is tried again: {error}");
    reporter.report_persist_failure(ErrorEvent::new(ErrorCode::Internal, message));
}

fn warn(context: &TurnContext, error: &StoreError) {
    tracing::error!(conversation = context.conversation, turn = context.turn_id, %error, "a turn's end is not stored");
}

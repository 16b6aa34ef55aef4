//! One turn: waits in its queue, asks the engine, logs the answer, and ends in exactly one terminal event.
//!
//! `turn/run.rs` shows a run from its start to its end; the other files are its parts.

mod answer;
mod context;
mod end;
pub(crate) mod ending;
mod error;
mod eviction;
mod log;
mod request;
mod run;
mod totals;

pub(crate) use context::{ReadyTurn, ResumedRounds, TurnContext};
pub(crate) use end::fail_after_panic;
pub(crate) use run::run;

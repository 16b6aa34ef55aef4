//! Turns on a scripted engine and a store in a temporary folder.

mod cancellation;
mod clock;
mod commands;
mod engines;
mod eviction;
mod failures;
mod frames;
mod many_conversations;
mod metrics;
mod models;
mod options;
mod prompt;
mod prompt_view;
mod queue_order;
mod recovery;
mod siblings;
mod test_chat;
mod tools;
mod turns;
mod waiting;

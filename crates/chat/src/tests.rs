//! What a turn promises, tried on a scripted engine and a store in a temporary folder.

mod bench;
mod cancelling;
mod clock;
mod commands;
mod crowd;
mod engines;
mod failing;
mod figures;
mod history;
mod models;
mod options;
mod order;
mod prompt;
mod recovering;
mod tools;
mod tree;
mod turns;
mod view;
mod wire;

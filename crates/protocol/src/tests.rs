//! What the wire promises.

mod controllers;
mod document;
mod events;
mod frames;
mod generated;
mod kit;
mod logged;
mod options;
mod tools;

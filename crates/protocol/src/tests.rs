//! Tests of the wire protocol.

mod controllers;
mod document;
mod events;
mod frames;
mod generated;
mod logged;
mod options;
mod recorded;
mod tools;

//! What the wire promises.

mod document;
mod events;
mod frames;
mod generated;
mod options;

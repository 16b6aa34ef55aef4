//! What the wire promises.

mod generated;

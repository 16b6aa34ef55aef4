//! Conversations, turns and the event log in SQLite, with a live tail.

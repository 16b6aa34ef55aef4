//! What a turn promises.

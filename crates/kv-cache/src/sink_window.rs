//! What a token of a stream sees, in integers alone.

/// `sinks` tokens that stay for ever and a `window` of the newest ones.
///
/// Token `p` (0, 1, 2, …) sees itself, the sinks `j < sinks`, and the last `window` tokens `p - window ≤ j < p` that are not
/// sinks. That is what the paper's cache holds when it evicts after every token. Every method is a function of the position
/// alone, so any chunking of a stream gives the same answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SinkWindow {
    sinks: u64,
    window: u64,
}

impl SinkWindow {
    /// A policy of `sinks` and `window` tokens; either may be 0.
    #[must_use]
    pub const fn new(sinks: u64, window: u64) -> Self {
        Self { sinks, window }
    }

    /// Tokens that never leave.
    #[must_use]
    pub const fn sinks(self) -> u64 {
        self.sinks
    }

    /// Tokens before a query that it sees besides the sinks.
    #[must_use]
    pub const fn window(self) -> u64 {
        self.window
    }

    /// The first position outside the sinks that the query at `position` sees, if it sees any: `max(S, p - W)`.
    #[must_use]
    pub fn first_visible(self, position: u64) -> u64 {
        self.sinks.max(position.saturating_sub(self.window))
    }

    /// Whether the query at `position` sees the key at `key`.
    #[must_use]
    pub fn sees(self, position: u64, key: u64) -> bool {
        key <= position && (key < self.sinks || key >= self.first_visible(position))
    }

    /// The position that the query at `position` has inside the cache, from which its distance to a sink counts:
    /// `min(p, S + W)`.
    ///
    /// Sinks at their true distance instead look fine for some thousand tokens; then the model, which never saw such
    /// distances, falls apart.
    #[must_use]
    pub fn cache_position(self, position: u64) -> u64 {
        position.min(self.sinks.saturating_add(self.window))
    }

    /// Whether the query at `position` still sees every token before it.
    ///
    /// Then its position in the cache is its position in the stream, and sinks need no care of their own.
    #[must_use]
    pub fn sees_everything(self, position: u64) -> bool {
        position <= self.sinks.saturating_add(self.window)
    }

    /// How many tokens have left the view of the query at `position`, for good.
    #[must_use]
    pub fn evicted(self, position: u64) -> u64 {
        self.first_visible(position) - self.sinks
    }
}

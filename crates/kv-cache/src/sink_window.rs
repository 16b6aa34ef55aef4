//! What a token of a stream sees, as arithmetic on positions alone.

/// A cache policy: `sinks` tokens that are never evicted and a `window` of the newest ones.
///
/// Token `p` (0, 1, 2, …) sees itself, the sinks `j < sinks`, and the last `window` tokens `p - window ≤ j < p` that
/// are not sinks. That is what the paper's cache holds when it evicts after every token. Every method is a function of
/// the position alone, so the answers don't depend on how a stream is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SinkWindow {
    sinks: u64,
    window: u64,
}

impl SinkWindow {
    /// Creates a policy of `sinks` and `window` tokens; either may be 0.
    #[must_use]
    pub const fn new(sinks: u64, window: u64) -> Self {
        Self { sinks, window }
    }

    /// Returns the number of tokens that are never evicted.
    #[must_use]
    pub const fn sinks(self) -> u64 {
        self.sinks
    }

    /// Returns how many tokens before it a query sees besides the sinks.
    #[must_use]
    pub const fn window(self) -> u64 {
        self.window
    }

    /// Returns the first position outside the sinks that the query at `position` sees, if it sees any: `max(S, p - W)`.
    #[must_use]
    pub fn first_visible(self, position: u64) -> u64 {
        self.sinks.max(position.saturating_sub(self.window))
    }

    /// Returns true if the query at `position` sees the key at `key`.
    #[must_use]
    pub fn sees(self, position: u64, key: u64) -> bool {
        key <= position && (key < self.sinks || key >= self.first_visible(position))
    }

    /// Returns the position of the query at `position` inside the cache, from which its distance to a sink is computed:
    /// `min(p, S + W)`.
    ///
    /// Using the true distance to a sink works for some thousand tokens; then the output of the model, which was never
    /// trained on such distances, degenerates.
    #[must_use]
    pub fn cache_position(self, position: u64) -> u64 {
        position.min(self.sinks.saturating_add(self.window))
    }

    /// Returns true if the query at `position` still sees every token before it.
    ///
    /// Then its position in the cache equals its position in the stream, and sinks need no special treatment.
    #[must_use]
    pub fn sees_everything(self, position: u64) -> bool {
        position <= self.sinks.saturating_add(self.window)
    }

    /// Returns how many tokens have permanently left the view of the query at `position`.
    #[must_use]
    pub fn evicted(self, position: u64) -> u64 {
        self.first_visible(position) - self.sinks
    }
}

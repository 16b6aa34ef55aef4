//! What a peer's bytes may be refused for, and the close code that says so.

use actix_ws::CloseCode;

/// One broken rule of RFC 6455, or of this server's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::socket) enum Violation {
    /// A reserved bit is set, and no extension was agreed on.
    ReservedBits,
    /// No frame has this opcode.
    UnknownOpcode,
    /// A client's frame has to be masked.
    Unmasked,
    /// A length of 64 bits has its top bit set.
    ImpossibleLength,
    /// A ping, pong or close has more than 125 bytes.
    LongControl,
    /// A ping, pong or close comes in fragments.
    FragmentedControl,
    /// A continuation of no message.
    NothingToContinue,
    /// A new message before the end of the last one.
    UnfinishedMessage,
    /// A close frame with half a code.
    HalfACloseCode,
    /// A close code that no peer may send.
    UnknownCloseCode,
    /// The words of a close frame are not UTF-8.
    CloseReasonNotUtf8,
    /// A text is not UTF-8.
    TextNotUtf8,
    /// A message over the limit, as its headers declare it.
    TooBig,
    /// A message in more fragments than its size explains.
    TooManyFragments,
    /// More pings and pongs in a second than anyone needs.
    TooManyControls,
}

impl Violation {
    /// The close code, and what the close frame says beside it.
    pub(in crate::socket) fn close(self) -> (CloseCode, &'static str) {
        use CloseCode::{Invalid, Policy, Protocol, Size};
        match self {
            Self::ReservedBits => (Protocol, "a reserved bit is set"),
            Self::UnknownOpcode => (Protocol, "an unknown opcode"),
            Self::Unmasked => (Protocol, "the frame is not masked"),
            Self::ImpossibleLength => (Protocol, "an impossible length"),
            Self::LongControl => (Protocol, "a control frame of more than 125 bytes"),
            Self::FragmentedControl => (Protocol, "a control frame in fragments"),
            Self::NothingToContinue => (Protocol, "there is nothing to continue"),
            Self::UnfinishedMessage => (Protocol, "the last message has no end"),
            Self::HalfACloseCode => (Protocol, "half a close code"),
            Self::UnknownCloseCode => (Protocol, "a close code that may not be sent"),
            Self::CloseReasonNotUtf8 => (Invalid, "the reason is not UTF-8"),
            Self::TextNotUtf8 => (Invalid, "the text is not UTF-8"),
            Self::TooBig => (Size, "the message is too big"),
            Self::TooManyFragments => (Policy, "too many fragments"),
            Self::TooManyControls => (Policy, "too many pings"),
        }
    }
}

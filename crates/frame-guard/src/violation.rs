//! The rules that a peer's bytes may break, each with its close code.

/// The frame breaks the protocol.
const PROTOCOL: u16 = 1002;
/// A text is not UTF-8.
const INVALID: u16 = 1007;
/// The server's policy forbids it.
const POLICY: u16 = 1008;
/// A message is over the limit.
const TOO_BIG: u16 = 1009;

/// One broken rule of RFC 6455, or of the server's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// A reserved bit is set although no extension was negotiated.
    ReservedBits,
    /// The opcode is not defined.
    UnknownOpcode,
    /// A client's frame is not masked.
    Unmasked,
    /// A length of 64 bits has its top bit set.
    ImpossibleLength,
    /// A ping, pong or close has more than 125 bytes.
    LongControl,
    /// A ping, pong or close is fragmented.
    FragmentedControl,
    /// A continuation outside of a message.
    NothingToContinue,
    /// A new message before the end of the last one.
    UnfinishedMessage,
    /// A close frame with half a code.
    HalfACloseCode,
    /// A close code that no peer may send.
    UnknownCloseCode,
    /// The reason in a close frame is not UTF-8.
    CloseReasonNotUtf8,
    /// A text is not UTF-8.
    TextNotUtf8,
    /// A message whose headers declare more bytes than the limit.
    TooBig,
    /// A message in more fragments than its size allows.
    TooManyFragments,
    /// More pings and pongs in a second than the limit.
    TooManyControls,
}

impl Violation {
    /// Returns the close code (section 7.4.1) and the reason for the close frame.
    #[must_use]
    pub fn close(self) -> (u16, &'static str) {
        match self {
            Self::ReservedBits => (PROTOCOL, "a reserved bit is set"),
            Self::UnknownOpcode => (PROTOCOL, "an unknown opcode"),
            Self::Unmasked => (PROTOCOL, "the frame is not masked"),
            Self::ImpossibleLength => (PROTOCOL, "an impossible length"),
            Self::LongControl => (PROTOCOL, "a control frame of more than 125 bytes"),
            Self::FragmentedControl => (PROTOCOL, "a control frame in fragments"),
            Self::NothingToContinue => (PROTOCOL, "there is nothing to continue"),
            Self::UnfinishedMessage => (PROTOCOL, "the last message has no end"),
            Self::HalfACloseCode => (PROTOCOL, "half a close code"),
            Self::UnknownCloseCode => (PROTOCOL, "a close code that may not be sent"),
            Self::CloseReasonNotUtf8 => (INVALID, "the reason is not UTF-8"),
            Self::TextNotUtf8 => (INVALID, "the text is not UTF-8"),
            Self::TooBig => (TOO_BIG, "the message is too big"),
            Self::TooManyFragments => (POLICY, "too many fragments"),
            Self::TooManyControls => (POLICY, "too many pings"),
        }
    }
}

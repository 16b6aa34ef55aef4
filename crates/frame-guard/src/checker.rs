//! The checker of a client's bytes (RFC 6455, section 5): bytes in, the first broken rule out.
//!
//! Each rule is applied at the first byte that breaks it, so a frame that is too big is refused by its header. The
//! checker allocates nothing, keeps no byte of a payload, and gives the same result however the stream is cut into
//! pieces.

use std::time::{Duration, Instant};

use crate::utf8::Utf8;
use crate::violation::Violation;

/// The limits of what one peer may send.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most bytes of one message, all its fragments together.
    pub message_bytes: u64,
}

/// Fragments that a message may have however small it is: more than any library makes of a typed document.
pub(crate) const FREE_FRAGMENTS: u64 = 4_096;

/// Message bytes that allow one further fragment each: keeping a fragment costs half of that.
pub(crate) const BYTES_PER_FRAGMENT: u64 = 64;

/// Most pings and pongs in a period: one every 30 s is usual, and a few dozen at once occur in tests.
pub(crate) const CONTROLS_PER_PERIOD: u32 = 128;

/// The period over which pings and pongs are counted.
const CONTROL_PERIOD: Duration = Duration::from_secs(1);

/// The longest payload of a control frame (section 5.5).
const CONTROL_BYTES: u64 = 125;

/// The longest header: two bytes, a length of eight, a mask of four.
const HEADER_BYTES: usize = 14;

/// How many of the checked bytes may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// All of them.
    All,
    /// This many: a close frame ends there, and the bytes after it are ignored.
    Closed(usize),
    /// This many: the next byte breaks a rule.
    Broken(usize, Violation),
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Text,
    Binary,
    Close,
    PingOrPong,
}

impl FrameKind {
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::PingOrPong)
    }
}

/// The frame whose payload is being received.
#[derive(Debug)]
struct Frame {
    kind: FrameKind,
    is_last: bool,
    mask: [u8; 4],
    /// Payload bytes received.
    taken: u64,
    /// Payload bytes declared by the header.
    length: u64,
}

/// The message whose fragments are being received.
#[derive(Debug)]
struct Message {
    kind: FrameKind,
    /// Payload bytes that the headers so far declare.
    bytes: u64,
    fragments: u64,
    text: Utf8,
}

/// What the next byte of the stream belongs to.
#[derive(Debug)]
enum State {
    Header,
    Payload(Frame),
    /// Nothing: a close frame or a violation has ended the stream.
    Over,
}

/// Checks one peer's stream.
#[derive(Debug)]
pub struct Checker {
    bounds: Bounds,
    state: State,
    /// The header being received, of which `header_bytes` are there.
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// The message that is not yet complete.
    message: Option<Message>,
    close_code: u16,
    close_reason: Utf8,
    /// Pings and pongs since `controls_since`.
    controls: u32,
    controls_since: Option<Instant>,
}

impl Checker {
    /// Creates a checker at the start of a stream.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: State::Header,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            message: None,
            close_code: 0,
            close_reason: Utf8::default(),
            controls: 0,
            controls_since: None,
        }
    }

    /// Checks the next bytes of the stream, read at `now`. After any result but [`Checked::All`] the stream is over.
    pub fn check(&mut self, bytes: &[u8], now: Instant) -> Checked {
        let mut at = 0;
        while at < bytes.len() {
            let taken = match &self.state {
                State::Header => self.take_header(bytes[at], now).map(|()| 1),
                State::Payload(_) => self.take_payload(&bytes[at..]),
                State::Over => return Checked::Closed(at),
            };
            match taken {
                Ok(taken) => at += taken,
                Err((taken, violation)) => {
                    self.state = State::Over;
                    return Checked::Broken(at + taken, violation);
                }
            }
        }
        match self.state {
            State::Over => Checked::Closed(at),
            State::Header | State::Payload(_) => Checked::All,
        }
    }

    fn take_header(&mut self, byte: u8, now: Instant) -> Result<(), (usize, Violation)> {
        self.header[self.header_bytes] = byte;
        self.header_bytes += 1;
        self.check_header(now).map_err(|violation| (0, violation))
    }

    /// Applies the rules that the newest byte of the header decides.
    fn check_header(&mut self, now: Instant) -> Result<(), Violation> {
        let taken = self.header_bytes;
        if taken == 1 {
            return self.check_opcode(now);
        }
        let short_length = self.header[1] & 0x7f;
        let length_end = match short_length {
            127 => 10,
            126 => 4,
            _ => 2,
        };
        if taken == 2 {
            self.check_short_length(u64::from(short_length))?;
        }
        if taken < length_end {
            return Ok(());
        }
        let length = match length_end {
            2 => u64::from(short_length),
            end => self.header[2..end]
                .iter()
                .fold(0, |length, byte| (length << 8) | u64::from(*byte)),
        };
        if taken == length_end {
            return self.check_length(length);
        }
        if taken < length_end + 4 {
            return Ok(());
        }
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.header[length_end..taken]);
        self.begin_payload(length, mask)
    }

    /// Checks the first byte: the kind of the frame, and that it is allowed at this point.
    fn check_opcode(&mut self, now: Instant) -> Result<(), Violation> {
        let first = self.header[0];
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        let is_last = first & 0x80 != 0;
        match first & 0x0f {
            0 => {
                let message = self.message.as_mut().ok_or(Violation::NothingToContinue)?;
                message.fragments += 1;
                if message.fragments > FREE_FRAGMENTS + message.bytes / BYTES_PER_FRAGMENT {
                    return Err(Violation::TooManyFragments);
                }
            }
            opcode @ (1 | 2) => {
                if self.message.is_some() {
                    return Err(Violation::UnfinishedMessage);
                }
                self.message = Some(Message {
                    kind: if opcode == 1 {
                        FrameKind::Text
                    } else {
                        FrameKind::Binary
                    },
                    bytes: 0,
                    fragments: 1,
                    text: Utf8::default(),
                });
            }
            8..=10 if !is_last => return Err(Violation::FragmentedControl),
            8 => {}
            9 | 10 => self.count_control(now)?,
            _ => return Err(Violation::UnknownOpcode),
        }
        Ok(())
    }

    fn count_control(&mut self, now: Instant) -> Result<(), Violation> {
        let since = *self.controls_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CONTROL_PERIOD {
            self.controls = 0;
            self.controls_since = Some(now);
        }
        self.controls += 1;
        if self.controls > CONTROLS_PER_PERIOD {
            return Err(Violation::TooManyControls);
        }
        Ok(())
    }

    /// Checks the second byte: the mask bit, and the length of a control frame.
    fn check_short_length(&self, length: u64) -> Result<(), Violation> {
        if self.header[1] & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        match self.kind() {
            Some(kind) if !kind.is_control() => Ok(()),
            _ if length > CONTROL_BYTES => Err(Violation::LongControl),
            Some(FrameKind::Close) if length == 1 => Err(Violation::HalfACloseCode),
            _ => Ok(()),
        }
    }

    /// Checks the complete length: that it is valid, and that the message stays within its bounds.
    fn check_length(&mut self, length: u64) -> Result<(), Violation> {
        if length >> 63 != 0 {
            return Err(Violation::ImpossibleLength);
        }
        let is_control = self.header[0] & 0x08 != 0;
        if let Some(message) = self.message.as_mut().filter(|_| !is_control) {
            // Neither can overflow: both are below 2^63.
            message.bytes += length;
            if message.bytes > self.bounds.message_bytes {
                return Err(Violation::TooBig);
            }
        }
        Ok(())
    }

    /// Returns the kind of the frame whose header is being read; a continuation has the kind of its message.
    fn kind(&self) -> Option<FrameKind> {
        match self.header[0] & 0x0f {
            8 => Some(FrameKind::Close),
            9 | 10 => Some(FrameKind::PingOrPong),
            _ => self.message.as_ref().map(|message| message.kind),
        }
    }

    fn begin_payload(&mut self, length: u64, mask: [u8; 4]) -> Result<(), Violation> {
        // Only a continuation outside of a message has no kind, and its first byte was refused.
        let kind = self.kind().ok_or(Violation::NothingToContinue)?;
        let is_last = self.header[0] & 0x80 != 0;
        self.header_bytes = 0;
        let frame = Frame {
            kind,
            is_last,
            mask,
            taken: 0,
            length,
        };
        if length > 0 {
            self.state = State::Payload(frame);
            return Ok(());
        }
        self.end_frame(kind, is_last)
    }

    /// Consumes at most the rest of the frame's payload; returns how many bytes, or with an error how many were valid.
    fn take_payload(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let State::Payload(frame) = &mut self.state else {
            return Ok(0);
        };
        let left = usize::try_from(frame.length - frame.taken).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        let (kind, is_last, mask, start) = (frame.kind, frame.is_last, frame.mask, frame.taken);
        frame.taken += bytes.len() as u64;
        let is_over = frame.taken == frame.length;
        let mask_bytes = (start..).map(|index| mask[(index & 3) as usize]);
        let unmasked = bytes.iter().zip(mask_bytes).map(|(byte, mask)| byte ^ mask).enumerate();
        match (kind, &mut self.message) {
            (FrameKind::Text, Some(message)) => {
                for (at, byte) in unmasked {
                    if !message.text.take(byte) {
                        return Err((at, Violation::TextNotUtf8));
                    }
                }
            }
            (FrameKind::Close, _) => {
                for (at, byte) in unmasked {
                    self.take_close(start + at as u64, byte)
                        .map_err(|violation| (at, violation))?;
                }
            }
            (FrameKind::Text | FrameKind::Binary | FrameKind::PingOrPong, _) => {}
        }
        if is_over {
            let last = bytes.len().saturating_sub(1);
            self.end_frame(kind, is_last).map_err(|violation| (last, violation))?;
        }
        Ok(bytes.len())
    }

    /// Checks one byte of a close frame: the first two are its code, the others its reason.
    fn take_close(&mut self, index: u64, byte: u8) -> Result<(), Violation> {
        if index < 2 {
            self.close_code = (self.close_code << 8) | u16::from(byte);
            return match index {
                1 if !may_be_sent(self.close_code) => Err(Violation::UnknownCloseCode),
                _ => Ok(()),
            };
        }
        if self.close_reason.take(byte) {
            Ok(())
        } else {
            Err(Violation::CloseReasonNotUtf8)
        }
    }

    fn end_frame(&mut self, kind: FrameKind, is_last: bool) -> Result<(), Violation> {
        self.state = State::Header;
        match kind {
            FrameKind::PingOrPong => {}
            FrameKind::Close if !self.close_reason.is_whole() => return Err(Violation::CloseReasonNotUtf8),
            FrameKind::Close => self.state = State::Over,
            FrameKind::Text | FrameKind::Binary if is_last => {
                let text = self.message.take().map(|message| message.text);
                if !text.unwrap_or_default().is_whole() {
                    return Err(Violation::TextNotUtf8);
                }
            }
            FrameKind::Text | FrameKind::Binary => {}
        }
        Ok(())
    }
}

/// Returns true if a peer may send this code in a close frame (section 7.4, and IANA's register of later codes).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

//! A naive version of the checker's rules, over a whole buffer, with which tests and the fuzzer compare the checker.

/// The state in which a stream ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Plain {
    /// More bytes may follow.
    Open,
    /// A close frame has ended the stream.
    Closed,
    /// A rule with this close code is broken.
    Broken(u16),
}

struct Header {
    opcode: u8,
    is_last: bool,
    length: u64,
    mask: Vec<u8>,
    bytes: usize,
}

/// The message whose last fragment hasn't arrived.
struct Message {
    is_text: bool,
    declared: u64,
    payload: Vec<u8>,
}

/// Checks a stream whose messages may have `message_bytes` bytes. The limits of fragments and pings are not applied.
#[must_use]
pub fn check(mut rest: &[u8], message_bytes: u64) -> Plain {
    let mut message: Option<Message> = None;
    loop {
        let room = message_bytes - message.as_ref().map_or(0, |message| message.declared);
        let header = match header(rest, message.is_some(), room) {
            Ok(Some(header)) => header,
            Ok(None) => return Plain::Open,
            Err(code) => return Plain::Broken(code),
        };
        let after = &rest[header.bytes..];
        let taken = after
            .len()
            .min(usize::try_from(header.length).expect("it is within bounds"));
        let is_whole = taken as u64 == header.length;
        let masks = header.mask.iter().cycle();
        let payload: Vec<u8> = after[..taken]
            .iter()
            .zip(masks)
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        if header.opcode == 8 {
            return close(&payload, is_whole);
        }
        if header.opcode < 8 {
            let message = message.get_or_insert(Message {
                is_text: header.opcode == 1,
                declared: 0,
                payload: Vec::new(),
            });
            message.declared += header.length;
            message.payload.extend(payload);
            if message.is_text && !may_be_text(&message.payload, is_whole && header.is_last) {
                return Plain::Broken(1007);
            }
        }
        if !is_whole {
            return Plain::Open;
        }
        message = message.filter(|_| header.opcode >= 8 || !header.is_last);
        rest = &after[taken..];
    }
}

/// Returns a frame's header, `None` while it is incomplete, or the close code of the rule that it breaks.
fn header(bytes: &[u8], in_message: bool, room: u64) -> Result<Option<Header>, u16> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let (opcode, is_last) = (first & 15, first & 128 != 0);
    let is_known = matches!(opcode, 0..=2 | 8..=10);
    let in_turn = opcode >= 8 || (opcode == 0) == in_message;
    if first & 0x70 != 0 || !is_known || !in_turn || (opcode >= 8 && !is_last) {
        return Err(1002);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let short = second & 127;
    if second & 128 == 0 || (opcode >= 8 && short > 125) || (opcode == 8 && short == 1) {
        return Err(1002);
    }
    let width = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(long) = bytes.get(2..2 + width) else {
        return Ok(None);
    };
    let long = long.iter().fold(0_u64, |sum, byte| (sum << 8) + u64::from(*byte));
    let length = if width == 0 { u64::from(short) } else { long };
    if length > i64::MAX as u64 {
        return Err(1002);
    }
    if opcode < 8 && length > room {
        return Err(1009);
    }
    Ok(bytes.get(2 + width..6 + width).map(|mask| Header {
        opcode,
        is_last,
        length,
        mask: mask.to_vec(),
        bytes: 6 + width,
    }))
}

fn close(payload: &[u8], is_whole: bool) -> Plain {
    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
    if code.is_some_and(|code| !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)) {
        return Plain::Broken(1002);
    }
    if !may_be_text(payload.get(2..).unwrap_or_default(), is_whole) {
        return Plain::Broken(1007);
    }
    if is_whole { Plain::Closed } else { Plain::Open }
}

fn may_be_text(bytes: &[u8], is_over: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && !is_over,
    }
}

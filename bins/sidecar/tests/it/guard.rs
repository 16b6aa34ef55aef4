//! Bytes that no WebSocket library would send, over plain TCP: which close code they get, and how much memory they
//! cost.

use std::sync::atomic::{AtomicBool, Ordering};

use engine::ScriptedEngine;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::client::{TestApp, text};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// Most that an oversized frame may add to the resident memory of this process, which is client and server at once.
const GROWTH_KIB: u64 = 2 << 10;

/// Encodes a client's frame, small and masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a small frame");
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [first, 0x80 | length].into_iter().chain(MASK).chain(masked).collect()
}

/// Encodes a header that declares so many bytes of text.
fn declared(length: u64) -> Vec<u8> {
    [&[0x81, 0x80 | 127][..], &length.to_be_bytes(), &MASK].concat()
}

/// Opens a socket and completes its handshake.
async fn upgraded(app: &TestApp) -> (OwnedReadHalf, OwnedWriteHalf) {
    let authority = app.authority();
    let mut stream = TcpStream::connect(&authority).await.expect("the sidecar listens");
    let request = format!(
        "GET /ws/chat HTTP/1.1\r\nhost: {authority}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the handshake is answered"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream.into_split()
}

/// Reads to the close frame and returns its code; 1006 if the connection ends without one.
async fn close_code(reader: &mut OwnedReadHalf) -> u16 {
    loop {
        let (Ok(first), Ok(short)) = (reader.read_u8().await, reader.read_u8().await) else {
            return 1006;
        };
        let length = match short {
            126 => reader.read_u16().await.map(u64::from),
            127 => reader.read_u64().await,
            _ => Ok(u64::from(short)),
        };
        let Ok(length) = length else { return 1006 };
        let mut payload = vec![0; usize::try_from(length).expect("the server sends small frames")];
        if reader.read_exact(&mut payload).await.is_err() {
            return 1006;
        }
        if first == 0x88 {
            return payload
                .get(..2)
                .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
        }
    }
}

/// Sends these bytes, then `more` again and again until the server has closed; returns the close code.
async fn send_until_closed(app: &TestApp, bytes: &[u8], more: &[u8]) -> u16 {
    let (mut reader, mut writer) = upgraded(app).await;
    let is_closed = AtomicBool::new(false);
    let send = async {
        let mut sent = writer.write_all(bytes).await;
        while sent.is_ok() && !more.is_empty() && !is_closed.load(Ordering::Relaxed) {
            sent = writer.write_all(more).await;
        }
    };
    let read = async {
        let code = close_code(&mut reader).await;
        is_closed.store(true, Ordering::Relaxed);
        code
    };
    futures_util::future::join(send, read).await.1
}

/// Checks the close code, and that the next socket is served.
async fn check_closed(app: &TestApp, what: &str, bytes: &[u8], code: u16) {
    assert_eq!(send_until_closed(app, bytes, &[]).await, code, "{what}");
    check_serves(app).await;
}

async fn check_serves(app: &TestApp) {
    let mut socket = app.socket().await;
    socket.send(json!({ "agentId": "planner", "message": "hi" })).await;
    assert_eq!(text(&socket.until("done").await), "echo: hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_closes_with_the_code_of_the_broken_rule() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let hello = frame(0x81, br#"{"agentId":"planner"}"#);
    let not_text = [frame(0x01, b"\"gr\xc3"), frame(0x00, b"\xbc\xff"), frame(0x80, b"e\"")].concat();
    for (what, bytes, code) in [
        ("a header of 2^40 bytes", declared(1 << 40), 1009),
        ("a length of 2^64 - 21", declared(0_u64.wrapping_sub(21)), 1002),
        ("an unmasked frame", b"\x81\x02{}".to_vec(), 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
        ("an unknown opcode", frame(0x83, b"{}"), 1002),
        ("a ping in fragments", frame(0x09, b""), 1002),
        ("a continuation of nothing", frame(0x80, b"{}"), 1002),
        ("no UTF-8 within a fragmented message", not_text, 1007),
        ("a binary frame", frame(0x82, b"{}"), 1003),
        ("half a close code", frame(0x88, b"\x03"), 1002),
        ("a close code that is none", frame(0x88, &1005_u16.to_be_bytes()), 1002),
        ("a close reason that is no text", frame(0x88, b"\x03\xe8\xff"), 1007),
    ] {
        check_closed(&app, what, &bytes, code).await;
        check_closed(&app, what, &[&hello[..], &bytes].concat(), code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_refuses_floods_of_small_frames() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    let fragments = [frame(0x01, b"x"), frame(0x00, b"x").repeat(100_000)].concat();
    check_closed(&app, "100,000 fragments of one byte", &fragments, 1008).await;
    // Even a slow machine takes many of these bursts within one second.
    assert_eq!(
        send_until_closed(&app, &[], &frame(0x89, b"p").repeat(10_000)).await,
        1008
    );
    check_serves(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guard_ends_a_socket_that_is_half_closed() {
    let app = TestApp::start(ScriptedEngine::default()).await;
    for bytes in [
        frame(0x81, br#"{"agentId":"planner"}"#),
        declared(100),
        frame(0x01, b"{"),
    ] {
        let (mut reader, mut writer) = upgraded(&app).await;
        writer.write_all(&bytes).await.expect("the bytes are sent");
        writer.shutdown().await.expect("the half is closed");
        assert_eq!(close_code(&mut reader).await, 1006);
        check_serves(&app).await;
    }
    // What was sent before the half close counts: a close frame is answered.
    let (mut reader, mut writer) = upgraded(&app).await;
    writer
        .write_all(&frame(0x88, &1000_u16.to_be_bytes()))
        .await
        .expect("the bytes are sent");
    writer.shutdown().await.expect("the half is closed");
    assert_eq!(close_code(&mut reader).await, 1000);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn guard_does_not_buffer_an_oversized_frame() {
    /// Sent after each header; a server that buffered it could not hide that.
    const BOMB_MIB: usize = 64;
    let app = TestApp::start(ScriptedEngine::default()).await;
    let piece = vec![b'x'; 1 << 20];
    // The first frame pays for what is allocated once: threads' stacks, allocators' arenas.
    assert_eq!(send_until_closed(&app, &declared(1 << 40), &piece).await, 1009);
    check_serves(&app).await;
    let before = resident_kib();
    let mut most = before;
    let (mut reader, mut writer) = upgraded(&app).await;
    let send = async {
        writer.write_all(&declared(1 << 40)).await.expect("the header is sent");
        for _ in 0..BOMB_MIB {
            // The server may close earlier; what counts is that as much as possible was sent.
            if writer.write_all(&piece).await.is_err() {
                return;
            }
            most = most.max(resident_kib());
        }
    };
    let ((), code) = futures_util::future::join(send, close_code(&mut reader)).await;
    let grown = most.max(resident_kib()) - before;
    assert_eq!(code, 1009);
    assert!(grown < GROWTH_KIB, "resident memory grew by {grown} KiB");
    check_serves(&app).await;
}

/// Returns this process' resident memory.
#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
    number.expect("it says VmRSS in kB")
}

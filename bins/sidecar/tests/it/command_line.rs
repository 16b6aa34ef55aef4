//! The binary's command line, as far as it needs no model.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::ScriptedEngine;
use expect_test::{Expect, expect};
use futures_util::{SinkExt, StreamExt};
use streaming_llm_sidecar::{App, StartError};
use tokio::time::timeout;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{HttpRequest, http, settings};
use crate::process::HOME_VARIABLE;

/// Runs the binary in an empty folder, and compares its result as `EXIT_CODE STDERR`.
#[track_caller]
fn check(arguments: &[&str], environment: &[(&str, &str)], expected: Expect) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let Output { status, stderr, stdout } = Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .env_remove(HOME_VARIABLE)
        .args(arguments)
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .env("RUST_LOG", "error")
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(stdout.is_empty(), "stdout is for results");
    expected.assert_eq(&format!("{} {}", status.code().unwrap_or(-1), stderr.trim_end()));
}

#[test]
fn an_error_at_the_start_is_one_line() {
    check(
        &[],
        &[("STREAMING_LLM_PORT", "x")],
        expect![[r#"1 error: STREAMING_LLM_PORT="x" (from the environment): expected a whole number from 0 to 65535"#]],
    );
    check(
        &[],
        &[("STREAMING_LLM_MODEL", "nope")],
        expect![[
            r#"1 error: model "nope" not found: it is neither a path nor a name in models, where there is: nothing"#
        ]],
    );
    check(
        &["serve"],
        &[("STREAMING_LLM_MODEL", "openai:gpt")],
        expect![[r#"1 error: model "openai:gpt" needs a server: set STREAMING_LLM_OPENAI_URL"#]],
    );
    check(
        &["serve"],
        &[
            ("STREAMING_LLM_MODEL", "llama3.2:1b"),
            ("STREAMING_LLM_MODELS", "a, openai:b, c"),
            ("STREAMING_LLM_OPENAI_URL", "http://localhost:1"),
        ],
        expect![[
            r#"1 error: STREAMING_LLM_MODEL and STREAMING_LLM_MODELS name two local models, "a" and "c": only one is loaded"#
        ]],
    );
    check(
        &["serve"],
        &[
            ("STREAMING_LLM_MODEL", "llama3.2:1b"),
            ("STREAMING_LLM_OLLAMA_URL", "http://user:pass@localhost"),
        ],
        expect![[
            r#"1 error: STREAMING_LLM_OLLAMA_URL: "…@localhost" is no address of a model server: a user or password can't be part of it; set an API key"#
        ]],
    );
    check(
        &["--env-file", "missing.env"],
        &[],
        expect![[r#"1 error: settings file "missing.env" not found"#]],
    );
    check(
        &["generate", "--model", "m.gguf", "--ids", "ids.json"],
        &[],
        expect![[r#"1 error: cannot read token ids from ids.json: No such file or directory (os error 2)"#]],
    );
    check(
        &[
            "generate",
            "--model",
            "m.gguf",
            "--ids",
            "ids.json",
            "--temperature",
            "nan",
        ],
        &[],
        expect![[r#"1 error: --temperature NaN is not a number from 0 on"#]],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_both_loopback_addresses_on_one_port() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut settings = settings(folder.path());
    settings.host = "localhost".to_owned();
    let running = App::start(settings, Arc::new(ScriptedEngine::default()))
        .await
        .expect("the app starts");
    let port = running.addrs[0].port();
    assert_eq!(running.url(), format!("http://localhost:{port}"));
    for address in &running.addrs {
        assert!(address.ip().is_loopback() && address.port() == port);
        assert_eq!(
            http(
                &address.to_string(),
                HttpRequest {
                    path: "/healthz",
                    ..HttpRequest::default()
                }
            )
            .await
            .status,
            200
        );
    }
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(running.addrs.len(), if has_ipv6 { 2 } else { 1 });
    running.stop().await.expect("the app stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_address_is_refused_with_a_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = async |change: fn(&mut streaming_llm_sidecar::Settings, u16), port: u16| {
        let mut settings = settings(folder.path());
        change(&mut settings, port);
        App::start(settings, Arc::new(ScriptedEngine::default())).await.err()
    };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let refused = start(|settings, port| settings.port = port, port).await;
    assert!(
        matches!(&refused, Some(StartError::Listen { address, .. }) if *address == format!("127.0.0.1:{port}")),
        "{refused:?}"
    );
    let refused = start(|settings, _| settings.host = "0.0.0.0".to_owned(), 0).await;
    assert!(
        matches!(&refused, Some(StartError::Exposed { host }) if host == "0.0.0.0"),
        "{refused:?}"
    );
    let refused = start(|settings, _| settings.host = "no such host".to_owned(), 0).await;
    assert!(matches!(&refused, Some(StartError::Resolve { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_answers_pings_while_it_waits_for_input() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = server.local_addr().expect("it is bound").port();
    let mut chat = Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .env_remove(HOME_VARIABLE)
        .arg("chat")
        .current_dir(folder.path())
        .env("STREAMING_LLM_HOST", "127.0.0.1")
        .env("STREAMING_LLM_PORT", port.to_string())
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let (stream, _) = server.accept().await.expect("the chat connects");
    let mut socket = accept_async(stream).await.expect("the handshake succeeds");
    let hello = socket.next().await.expect("a frame").expect("a hello");
    assert!(hello.is_text(), "{hello}");
    for frame in [Message::text(r#"{"type":"pong"}"#), Message::Ping("anyone?".into())] {
        socket.send(frame).await.expect("the chat takes a frame");
    }
    // Only a chat that never answers takes this long.
    let pong = timeout(Duration::from_secs(60), socket.next()).await;
    drop(chat.stdin.take());
    let pong = pong.expect("the chat answers").expect("a frame").expect("a pong");
    assert_eq!(pong, Message::Pong("anyone?".into()));
    assert!(chat.wait().expect("the chat ends").success());
}

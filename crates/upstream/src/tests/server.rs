use engine::Engine;
use tokio::runtime::Handle;

use crate::testing::{Outcome, ScriptedServer, Step, request};
use crate::{ApiKey, Server, Settings, json_object, server_seed};

use super::{TIMEOUTS, ask, engine, fine, settings};

/// Checks the name of a server with this address, or the address's error.
#[track_caller]
fn check_address(url: &str, name: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime for tests");
    let server = Server::new("Test", url, Settings::default(), runtime.handle().clone());
    let got = server.map_or_else(|error| error.to_string(), |server| server.name().to_owned());
    assert_eq!(got, name);
}

#[test]
fn an_address_is_checked() {
    check_address(" http://localhost:11434/ ", "Test at http://localhost:11434");
    check_address("http://[::1]:80/api/", "Test at http://[::1]/api");
    for (url, reason) in [
        ("localhost:11434", "it has to begin with http:// or https://"),
        ("ftp://localhost", "it has to begin with http:// or https://"),
        ("/v1", "relative URL without a base"),
        ("http://", "empty host"),
        ("http://localhost:99999", "invalid port number"),
        ("http://localhost/?key=1", "it ends before `?` and `#`"),
    ] {
        check_address(url, &format!("{url:?} is no address of a model server: {reason}"));
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_shown() {
    check_address(
        "https://me:secret@host/v1",
        "\"…@host/v1\" is no address of a model server: a user or password can't be part of it; set an API key",
    );
}

#[tokio::test]
async fn the_key_is_sent_but_never_shown() {
    let key = ApiKey::new(" sk-12345\n").expect("the key is valid");
    assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
    let refusal = "HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":\"sk-12345 is no key\"}";
    let server = ScriptedServer::start(vec![fine(), vec![Step::send(refusal)]]).await;
    let settings = Settings {
        key: Some(key),
        ..settings(TIMEOUTS)
    };
    assert!(!format!("{settings:?}").contains("sk-"));
    let engine = engine(server.url(), settings);
    let (_, verdict) = ask(&engine, &server).await;
    assert_eq!(verdict, "Stop");
    assert!(
        server
            .next_request()
            .await
            .headers
            .contains("authorization: Bearer sk-12345\n")
    );
    let (_, verdict) = ask(&engine, &server).await;
    assert_eq!(
        verdict,
        "Test at URL failed: the API key was refused: [API key] is no key (status 401)"
    );
}

#[test]
fn a_key_that_no_header_can_hold_is_refused() {
    for key in ["", " ", "a b", "ä", "a\nb"] {
        let error = ApiKey::new(key).expect_err("no header can hold it");
        assert_eq!(
            error.to_string(),
            "the API key has characters that no HTTP header can hold"
        );
    }
}

#[tokio::test]
async fn an_invalid_request_is_not_sent() {
    let server = ScriptedServer::start(vec![fine()]).await;
    let engine = engine(server.url(), settings(TIMEOUTS));
    let mut empty = request("x");
    empty.messages.clear();
    let mut continued = request("x");
    continued.continues_from = Some(engine::TurnTag(3));
    for (request, verdict) in [
        (empty, "a request needs a message"),
        (continued, "the cache no longer ends with turn TurnTag(3)"),
    ] {
        let mut generation = engine.generate(request).expect("a server's queue is its own");
        let outcome = Outcome::read(&mut generation).await;
        assert_eq!((outcome.verdict().as_str(), outcome.started), (verdict, None));
    }
    assert_eq!(server.n_requests().await, 0);
}

#[tokio::test]
async fn a_list_is_bounded_and_its_failures_name_the_server() {
    let long = vec![
        Step::head("200 OK", "application/json"),
        Step::Send(vec![b' '; (1 << 20) + 1]),
    ];
    let missing = vec![Step::send("HTTP/1.1 404 Not Found\r\n\r\nno such page")];
    let server = ScriptedServer::start(vec![fine(), missing, long]).await;
    let upstream =
        Server::new("Test", server.url(), settings(TIMEOUTS), Handle::current()).expect("the address is in order");
    let list = upstream.list("/list").await.expect("a list");
    assert_eq!(list, "{\"say\":\"fine\"}\n{\"end\":\"stop\"}\n");
    assert_eq!(server.next_request().await.line, "GET /list");
    for reason in [
        "Test at URL says: no such page (status 404)",
        "its list has more than 1048576 bytes",
    ] {
        let error = upstream.list("/list").await.expect_err("no list");
        let message = error.to_string().replace(server.url(), "URL");
        assert_eq!(message, format!("Test at URL failed: {reason}"));
    }
}

#[test]
fn a_seed_is_folded_into_31_bits() {
    assert_eq!(server_seed(5), 5);
    assert_eq!(server_seed(u64::MAX), 0);
    assert_eq!(server_seed(7 << 32), 7);
}

#[test]
fn an_object_is_kept_as_it_was_written() {
    let object = json_object("the arguments", " {\"b\": 1,  \"a\": 2.0}\n").expect("an object");
    assert_eq!(object.get(), "{\"b\": 1,  \"a\": 2.0}");
    for (text, reason) in [
        ("[]", "is no JSON object"),
        ("\"{}\"", "is no JSON object"),
        ("{\"a\"", "EOF while parsing an object at line 1 column 4"),
        ("", "EOF while parsing a value at line 1 column 0"),
    ] {
        let error = json_object("the arguments", text).expect_err("no object");
        assert_eq!(error.to_string(), format!("the arguments: {reason}"));
    }
}

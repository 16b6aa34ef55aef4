use crate::testing::{ScriptedServer, Step};
use crate::{LineReader, Timeouts};

use super::{SHORT, TIMEOUTS, ask, check, engine, fine, head, settings};

/// Checks an answer with this body.
async fn check_body(body: impl Into<Vec<u8>>, text: &str, verdict: &str) {
    check(TIMEOUTS, vec![vec![head(), Step::Send(body.into())]], text, verdict).await;
}

/// Checks this response.
async fn check_response(head: Step, body: &str, verdict: &str) {
    check(TIMEOUTS, vec![vec![head, Step::send(body)]], "", verdict).await;
}

#[tokio::test]
async fn an_answer_is_read_to_its_end() {
    let body =
        "{\"think\":\"hm\"}\n\r\n{\"say\":\"a\"}\n{\"say\":\"\"}\n{\"say\":\"b\",\"end\":\"\"}\n{\"say\":\"c\"}\n";
    let server = ScriptedServer::start(vec![vec![head(), Step::send(body)]]).await;
    let (outcome, verdict) = ask(&engine(server.url(), settings(TIMEOUTS)), &server).await;
    assert_eq!(
        (outcome.text.as_str(), outcome.reasoning.as_str(), verdict.as_str()),
        ("ab", "hm", "Stop")
    );
    let started = outcome.started.expect("an answer starts");
    assert_eq!((started.epoch.0, started.window_tokens), (7, 4_096));
    let engine::EngineEvent::Finished(finished) = outcome.last else {
        unreachable!("the verdict is a reason");
    };
    assert_eq!(finished.usage.completion_tokens, 3);
    let sent = server.next_request().await;
    assert_eq!((sent.line.as_str(), sent.body.as_str()), ("POST /chat", "hello"));
}

#[tokio::test]
async fn a_server_that_dies_in_a_line_has_not_ended() {
    let verdict = "Test at URL failed: its answer ended before its last chunk";
    check_body("{\"say\":\"a\"}\n{\"say\":\"b", "a", verdict).await;
    check_body("{\"say\":\"a\"}\n", "a", verdict).await;
    check_body("", "", verdict).await;
}

#[tokio::test]
async fn a_last_line_needs_no_line_feed() {
    check_body("{\"say\":\"a\"}\n{\"end\":\"stop\"}", "a", "Stop").await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let verdict = "Test at URL failed: its answer broke off: end of file before message length reached";
    for (length, body) in [
        (
            "Transfer-Encoding: chunked",
            "c\r\n{\"say\":\"a\"}\n\r\n40\r\n{\"say\":\"b\"}",
        ),
        ("Content-Length: 999", "{\"say\":\"a\"}\n"),
    ] {
        let head = Step::send(format!("HTTP/1.1 200 OK\r\n{length}\r\n\r\n"));
        check(TIMEOUTS, vec![vec![head, Step::send(body)]], "a", verdict).await;
    }
}

#[tokio::test]
async fn a_server_that_closes_at_once_has_failed() {
    let verdict = "Test at URL failed: it broke off before it answered: connection closed before message completed";
    check(TIMEOUTS, vec![vec![]], "", verdict).await;
}

#[tokio::test]
async fn an_error_in_the_stream_ends_it_with_the_servers_message() {
    check_body(
        "{\"say\":\"a\"}\n{\"error\":\"out of memory\"}\n{\"say\":\"b\"}\n",
        "a",
        "Test at URL failed: out of memory",
    )
    .await;
    check_body(
        "{\"error\":{\"message\":\"no model\"}}",
        "",
        "Test at URL failed: no model",
    )
    .await;
}

#[tokio::test]
async fn a_malformed_line_is_shown() {
    check_body(
        "{\"say\":\"a\"}\nBad Gateway\n",
        "a",
        "Test at URL failed: its answer has a line that makes no sense (expected value at line 1 column 1): Bad Gateway",
    )
    .await;
}

#[tokio::test]
async fn a_malformed_last_line_is_not_taken_for_half_a_line() {
    let verdict = "Test at URL failed: its answer has a line that makes no sense (expected value at line 1 column 1): upstream gone";
    check_body("upstream gone", "", verdict).await;
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_refused() {
    check_body(
        b"{\"say\":\"a\"}\n{\"say\":\"\xff\"}\n",
        "a",
        "Test at URL failed: its answer isn't UTF-8",
    )
    .await;
}

#[tokio::test]
async fn an_endless_line_is_not_collected() {
    let mut body = b"{\"say\":\"a\"}\n{\"say\":\"".to_vec();
    body.resize(body.len() + 4 * LineReader::LONGEST_LINE_BYTES, b'x');
    let verdict = "Test at URL failed: a line of its answer has more than 1048576 bytes";
    check_body(body, "a", verdict).await;
}

#[tokio::test]
async fn an_endless_answer_is_ended() {
    let mib = vec![b'\n'; 1 << 20];
    let script = [vec![head()], vec![Step::Send(mib); 66]].concat();
    let verdict = "Test at URL failed: its answer has more than 67108864 bytes";
    check(TIMEOUTS, vec![script], "", verdict).await;
}

#[tokio::test]
async fn an_html_page_is_refused() {
    check_response(
        Step::head("200 OK", "text/html; charset=utf-8"),
        "<html>Sign in</html>",
        "Test at URL failed: it answered with an HTML page; is its address right?",
    )
    .await;
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let elsewhere = ScriptedServer::start(vec![fine()]).await;
    let location = format!("{}/chat", elsewhere.url());
    let head = format!("HTTP/1.1 308 Permanent Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let verdict = format!(
        "Test at URL failed: it redirects to {location} (status 308), which isn't followed; name that address instead"
    );
    check_response(Step::send(head), "", &verdict).await;
    assert_eq!(elsewhere.n_requests().await, 0);
}

#[tokio::test]
async fn each_status_has_its_error() {
    let json = "{\"error\":{\"message\":\"no such model\",\"code\":404}}";
    let cases = [
        (
            "404 Not Found",
            json,
            "model \"test:m\" is not available: Test at URL says: no such model (status 404)",
        ),
        (
            "400 Bad Request",
            "{\"error\":\"bad temperature\"}",
            "Test at URL refuses the request: bad temperature (status 400)",
        ),
        (
            "422 Unprocessable Entity",
            "{\"detail\":\"bad top_p\"}",
            "Test at URL refuses the request: bad top_p (status 422)",
        ),
        (
            "401 Unauthorized",
            "who are you?",
            "Test at URL failed: the API key was refused: who are you? (status 401)",
        ),
        (
            "403 Forbidden",
            "",
            "Test at URL failed: the API key was refused: status 403 Forbidden",
        ),
        (
            "500 Internal Server Error",
            "{\"error\":\"boom\"}",
            "Test at URL failed: boom (status 500)",
        ),
        (
            "502 Bad Gateway",
            "<html>nginx</html>",
            "Test at URL failed: an HTML page (status 502)",
        ),
    ];
    for (status, body, verdict) in cases {
        check_response(Step::head(status, "application/json"), body, verdict).await;
    }
}

#[tokio::test]
async fn a_servers_message_is_bounded() {
    let body = "ä".repeat(100_000);
    let verdict = format!("Test at URL refuses the request: {} (status 400)", "ä".repeat(1_024));
    check_response(Step::head("400 Bad Request", "text/plain"), &body, &verdict).await;
}

#[tokio::test]
async fn a_slow_first_byte_is_a_time_out() {
    let timeouts = Timeouts {
        first_byte: SHORT,
        ..TIMEOUTS
    };
    let verdict = "Test at URL was too slow: no answer within 50ms";
    check(timeouts, vec![vec![Step::Hang]], "", verdict).await;
    // A head and empty lines are no piece of an answer.
    check(
        timeouts,
        vec![vec![head(), Step::send("\n\n"), Step::Hang]],
        "",
        verdict,
    )
    .await;
}

#[tokio::test]
async fn silence_within_an_answer_is_a_time_out() {
    let timeouts = Timeouts {
        silence: SHORT,
        ..TIMEOUTS
    };
    let verdict = "Test at URL was too slow: nothing more of its answer within 50ms";
    let script = vec![head(), Step::send("{\"say\":\"a\"}\n{\"say\":\"b"), Step::Hang];
    check(timeouts, vec![script], "a", verdict).await;
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    drop(listener);
    let server = ScriptedServer::start(vec![fine()]).await;
    let (outcome, verdict) = ask(&engine(&format!("http://{address}"), settings(TIMEOUTS)), &server).await;
    assert_eq!(outcome.started, None);
    let start =
        format!("model \"test:m\" is not available: Test at http://{address} can't be reached: Connection refused");
    assert!(verdict.starts_with(&start), "{verdict}");
}

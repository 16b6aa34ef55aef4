use crate::testing::{ScriptedServer, Step};

use super::{TIMEOUTS, ask, check, engine, fine, settings};

fn busy(status: &str, retry_after: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n{retry_after}Connection: close\r\n\r\nwait");
    vec![Step::send(head)]
}

#[tokio::test]
async fn a_busy_server_is_tried_three_times() {
    let unavailable = || busy("503 Service Unavailable", "");
    check(TIMEOUTS, vec![unavailable(), unavailable(), fine()], "fine", "Stop").await;
    let busy = vec![unavailable(), unavailable(), unavailable()];
    check(TIMEOUTS, busy, "", "Test at URL is busy: wait (status 503)").await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let limited = busy("429 Too Many Requests", "Retry-After: 0\r\n");
    check(TIMEOUTS, vec![limited, fine()], "fine", "Stop").await;
}

#[tokio::test]
async fn a_long_retry_after_is_not_waited_for() {
    let limited = busy("429 Too Many Requests", "Retry-After: 6\r\n");
    check(TIMEOUTS, vec![limited], "", "Test at URL is busy: wait (status 429)").await;
}

#[tokio::test]
async fn a_failure_is_not_retried() {
    let failed = busy("500 Internal Server Error", "");
    let server = ScriptedServer::start(vec![failed, fine()]).await;
    let engine = engine(server.url(), settings(TIMEOUTS));
    ask(&engine, &server).await;
    assert_eq!(server.n_requests().await, 1);
}

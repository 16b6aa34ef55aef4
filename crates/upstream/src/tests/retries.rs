use crate::testing::{ScriptedServer, Step};

use super::{TIMEOUTS, ask, check, engine, fine, settings};

fn busy(status: &str, retry_after: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n{retry_after}Connection: close\r\n\r\nwait");
    vec![Step::send(head)]
}

#[tokio::test]
async fn a_busy_server_is_asked_three_times() {
    let unavailable = || busy("503 Service Unavailable", "");
    check(TIMEOUTS, vec![unavailable(), unavailable(), fine()], "fine", "Stop").await;
    let busy = vec![unavailable(), unavailable(), unavailable()];
    check(TIMEOUTS, busy, "", "Test at URL is busy: wait (status 503)").await;
}

#[tokio::test]
async fn a_time_to_come_back_is_kept() {
    let limited = busy("429 Too Many Requests", "Retry-After: 0\r\n");
    check(TIMEOUTS, vec![limited, fine()], "fine", "Stop").await;
}

#[tokio::test]
async fn a_server_that_wants_to_be_left_alone_is() {
    let limited = busy("429 Too Many Requests", "Retry-After: 6\r\n");
    check(TIMEOUTS, vec![limited], "", "Test at URL is busy: wait (status 429)").await;
}

#[tokio::test]
async fn a_failure_is_not_tried_again() {
    let failed = busy("500 Internal Server Error", "");
    let server = ScriptedServer::start(vec![failed, fine()]).await;
    let engine = engine(server.url(), settings(TIMEOUTS));
    ask(&engine, &server).await;
    assert_eq!(server.n_asked().await, 1);
}

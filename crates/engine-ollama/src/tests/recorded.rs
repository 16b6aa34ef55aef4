use expect_test::expect;
use upstream::testing::{disagreements, read_recorded, recorded};

use super::engine;

/// Recorded answers that the official client reads differently, and why ours is right.
const DIFFERING: [(&str, &str); 2] = [
    (
        "chunks_without_end",
        "the answer is complete with `done`, and later lines aren't read",
    ),
    (
        "no_end",
        "without `done` it is unknown whether the answer is complete: a server that was killed looks the same",
    ),
];

#[tokio::test]
async fn recorded_answers_are_read() {
    let mut lines = String::new();
    for answer in recorded("ollama") {
        lines += &read_recorded(&answer, engine).await.1;
    }
    expect![[r#"
        bad_request: Ollama at URL refuses the request: smollm2:135m does not support tools (status 400)
        busy: Ollama at URL is busy: server busy, please try again.  maximum pending requests exceeded (status 503)
        chunks_without_end: says "Grüße 👋🏽 aus 東京", Stop
        crlf_lines: says "Hello!", Stop
        cut_in_line: says "Hello", Ollama at URL failed: its answer ended before its last chunk
        done_reason_error: says "Hello", Ollama at URL failed: Backend connection lost
        empty_error: says "Hello", Stop
        error_first: Ollama at URL failed: llama runner process has terminated: exit status 2
        error_midway: says "Hello!", Ollama at URL failed: an error was encountered while running the model: unexpected EOF
        html_page: Ollama at URL failed: it answered with an HTML page; is its address right?
        html_page_as_ndjson: Ollama at URL failed: its answer has a line that makes no sense (expected value at line 1 column 1): <!DOCTYPE html>
        length: says "Hello!", Length
        load: Stop
        no_done_reason: says "Hello", Stop
        no_end: says "Hello!", Ollama at URL failed: its answer ended before its last chunk
        no_newline_at_end: says "Hello", Stop
        not_found: model "ollama:smollm2:135m" is not available: Ollama at URL says: model 'smollm2:135m' not found (status 404)
        not_json: says "Hello", Ollama at URL failed: its answer has a line that makes no sense (expected value at line 1 column 1): upstream connect error or disconnect/reset before headers
        plain_answer: says "Hello! I'm here.", Stop
        redirect: Ollama at URL failed: it redirects to http://127.0.0.1:9/api/chat (status 307), which isn't followed; name that address instead
        response_instead_of_message: Ollama at URL failed: its answer has a line that makes no sense (missing field `message`): {"model":"smollm2:135m","created_at":"2026-11-25T18:14:22.337304949Z","response":"Hello","done":false}
        server_error: Ollama at URL failed: model requires more system memory (5.6 GiB) than is available (3.1 GiB) (status 500)
        split_characters: says "Grüße 👋🏽 aus 東京", Stop
        text_with_done: says "Hello! I'm here.", Stop
        thinking: thinks "The user greets me.", says "Hello!", Stop
        tool_call_with_id: calls call_x7 weather({"city":"Zürich"}), Stop
        tool_calls: says "Let me look.", calls call_1 weather({"city":"Paris","days":2}), calls call_2 time({}), Stop
        unauthorised: Ollama at URL failed: the API key was refused: unauthorized (status 401)
        wrong_type: says "Hello", Ollama at URL failed: its answer has a line that makes no sense (invalid type: integer `7`, expected a string at line 1 column 111): {"model":"smollm2:135m","created_at":"2026-11-25T18:14:22.462653953Z","message":{"role":"assistant","content":7},"done":false}
    "#]].assert_eq(&lines);
}

#[tokio::test]
async fn official_client_agrees_on_recorded_answers() {
    let differing = disagreements("ollama", engine).await;
    let names: Vec<_> = differing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, DIFFERING.map(|(name, _why)| name), "{differing:#?}");
}

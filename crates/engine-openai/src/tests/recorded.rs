use expect_test::expect;
use upstream::testing::{disagreements, read_recorded, recorded};

use super::engine;

const NO_END: &str = "without a finish reason it is unknown whether the answer is complete: a server that was killed \
                      looks the same";

/// Recorded answers that the official client reads differently, and why ours is right.
const DIFFERING: [(&str, &str); 9] = [
    (
        "content_filter",
        "the answer isn't complete, and none of our finish reasons says why",
    ),
    ("cut_in_line", NO_END),
    ("done_alone", NO_END),
    ("finish_reason_error", "the server itself reports an error"),
    ("html_page", NO_END),
    ("json_without_stream", NO_END),
    ("no_end", NO_END),
    (
        "tool_call_cut_by_length",
        "a call with half of its arguments is no call; the answer's end reports that it was cut",
    ),
    ("tool_call_no_object", "a tool's arguments must be an object"),
];

#[tokio::test]
async fn recorded_answers_are_read() {
    let mut lines = String::new();
    for answer in recorded("openai") {
        lines += &read_recorded(&answer, engine).await.1;
    }
    expect![[r#"
        bad_gateway: OpenAI-compatible server at URL/v1 failed: an HTML page (status 502)
        bad_request: OpenAI-compatible server at URL/v1 refuses the request: request (5034 tokens) exceeds the available context size (4096 tokens), try increasing it (status 400)
        busy: OpenAI-compatible server at URL/v1 is busy: Loading model (status 503)
        comments_and_fields: says "Hello", Stop
        content_filter: says "Hello", OpenAI-compatible server at URL/v1 failed: its content filter cut the answer off
        crlf_lines: says "Hello", Stop
        cut_in_line: says "Hello", OpenAI-compatible server at URL/v1 failed: its answer ended before its last chunk
        data_in_two_lines: says "Hello!", Stop
        data_without_space: says "Hello", Stop
        done_alone: OpenAI-compatible server at URL/v1 failed: its answer ended before its last chunk
        empty_error: says "Hello", Stop
        error_as_text: says "Hello", OpenAI-compatible server at URL/v1 failed: CUDA out of memory
        error_event: says "Hello", OpenAI-compatible server at URL/v1 failed: Internal error
        error_first: OpenAI-compatible server at URL/v1 failed: The model is overloaded
        error_midway: says "Hello!", OpenAI-compatible server at URL/v1 failed: the model has stopped
        finish_reason_error: says "Hello", OpenAI-compatible server at URL/v1 failed: it ended the answer with an error that it doesn't name
        forbidden: OpenAI-compatible server at URL/v1 failed: the API key was refused: Not allowed for this key (status 403)
        html_page: OpenAI-compatible server at URL/v1 failed: it answered with an HTML page; is its address right?
        json_without_stream: OpenAI-compatible server at URL/v1 failed: it answered with no stream: {"id": "chatcmpl-1ZAgYjvcSGbTyLLTfSnJnlBn5GjGJtM6", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
        length: says "Hello", Length
        llama_cpp_length: says "Je suis en français, en français", Length
        no_choices: says "Hello", OpenAI-compatible server at URL/v1 failed: its answer has a line that makes no sense (missing field `choices`): {"object":"ping"}
        no_done: says "Hello", Stop
        no_empty_line_at_end: says "Hello", Stop
        no_end: says "Hello!", OpenAI-compatible server at URL/v1 failed: its answer ended before its last chunk
        not_found: model "openai:smollm2:135m" is not available: OpenAI-compatible server at URL/v1 says: The model `smollm2:135m` does not exist or you do not have access to it. (status 404)
        not_json: says "Hello", OpenAI-compatible server at URL/v1 failed: its answer has a line that makes no sense (expected value at line 1 column 1): upstream connect error
        plain_answer: says "Hello! I'm here.", Stop
        rate_limited: OpenAI-compatible server at URL/v1 is busy: Rate limit reached for requests (status 429)
        reasoning: thinks "The user greets me.", says "Hello", Stop
        reasoning_content: thinks "The user greets me.", says "Hello", Stop
        redirect: OpenAI-compatible server at URL/v1 failed: it redirects to http://127.0.0.1:9/v1/chat/completions (status 308), which isn't followed; name that address instead
        server_error: OpenAI-compatible server at URL/v1 failed: The server had an error while processing your request. (status 500)
        split_characters: says "Grüße 👋🏽 aus 東京", Stop
        text_with_done: says "Hello! I'm here.", Stop
        tool_call_at_once: calls call_1 weather({"city":"Zürich"}), Stop
        tool_call_cut_by_length: says "Hello", Length
        tool_call_no_object: OpenAI-compatible server at URL/v1 failed: its answer has a line that makes no sense (expected value at line 1 column 1): Paris
        tool_calls: says "Let me look.", calls call_a1 weather({"city": "Paris"}), calls call_b2 time({}), Stop
        tool_calls_interleaved: calls a weather({}), calls b time({"zone":"UTC"}), Stop
        unauthorised: OpenAI-compatible server at URL/v1 failed: the API key was refused: Incorrect API key provided: x. You can find your API key in your account. (status 401)
        unprocessable: OpenAI-compatible server at URL/v1 refuses the request: top_p must be in (0, 1], got 2.0. (status 422)
    "#]].assert_eq(&lines);
}

#[tokio::test]
async fn official_client_agrees_on_recorded_answers() {
    let differing = disagreements("openai", engine).await;
    let names: Vec<_> = differing.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, DIFFERING.map(|(name, _why)| name), "{differing:#?}");
}

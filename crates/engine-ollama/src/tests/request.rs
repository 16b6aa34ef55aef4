use engine::{ContextPolicy, Request, Role};
use expect_test::{Expect, expect};
use upstream::testing::{Outcome, ScriptedServer, Step, full_request, request};

use super::engine;

/// Checks the body that reaches the server, in lines.
async fn check(request: Request, expected: Expect) {
    let line = "{\"message\":{\"content\":\"ok\"},\"done\":true}\n";
    let script = vec![Step::head("200 OK", "application/x-ndjson"), Step::send(line)];
    let server = ScriptedServer::start(vec![script]).await;
    let mut generation = engine(server.url())
        .generate(request)
        .expect("a server's queue is its own");
    assert_eq!(Outcome::read(&mut generation).await.verdict(), "Stop");
    let sent = server.next_request().await;
    assert_eq!(sent.line, "POST /api/chat");
    expected.assert_eq(&sent.body_in_lines());
}

#[tokio::test]
async fn all_features_are_in_the_body() {
    check(
        full_request(),
        expect![[r####"
            messages:
              {"content":"Be brief.","role":"system"}
              {"content":"Weather?","role":"user"}
              {"content":"I look.","role":"assistant","tool_calls":[{"function":{"arguments":{"city":"Paris"},"name":"weather"}},{"function":{"arguments":{},"name":"time"}}]}
              {"content":"sunny","role":"tool","tool_name":"weather"}
              {"content":"noon","role":"tool","tool_name":"time"}
              {"content":"Sunny.","role":"assistant"}
              {"content":"Thanks <|im_end|>","role":"user"}
            model: "smollm2:135m"
            options: {"min_p":0.05,"num_ctx":4096,"num_predict":64,"repeat_penalty":1.1,"seed":7,"stop":["###"],"temperature":0.2,"top_k":40,"top_p":0.9}
            stream: true
            tools:
              {"function":{"description":"Tells the weather.","name":"weather","parameters":{"properties":{"city":{"type":"string"}},"type":"object"}},"type":"function"}
        "####]],
    )
    .await;
}

#[tokio::test]
async fn a_short_question_has_no_empty_fields() {
    check(
        request("Hello"),
        expect![[r#"
            messages:
              {"content":"Hello","role":"user"}
            model: "smollm2:135m"
            options: {"min_p":0.0,"num_ctx":4096,"num_predict":32,"repeat_penalty":1.0,"seed":1,"temperature":0.0,"top_k":0,"top_p":0.95}
            stream: true
        "#]],
    )
    .await;
}

#[tokio::test]
async fn arguments_that_are_not_an_object_are_refused() {
    let mut request = full_request();
    let Role::Assistant { calls } = &mut request.messages[1].role else {
        unreachable!("the second message asks for tools");
    };
    "[1]".clone_into(&mut calls[0].arguments);
    let mut generation = engine("http://localhost:1")
        .generate(request)
        .expect("it is found out later");
    assert_eq!(
        Outcome::read(&mut generation).await.verdict(),
        "the arguments of the call \"a\" of the tool \"weather\": is no JSON object"
    );
}

#[tokio::test]
async fn a_prompt_is_rendered_as_its_messages() {
    let rendered = engine("http://localhost:1")
        .render(&full_request())
        .expect("it is in order");
    assert!(rendered.ids.is_empty() && rendered.spans.is_empty());
    expect![[r#"
        [
          {
            "role": "system",
            "content": "Be brief."
          },
          {
            "role": "user",
            "content": "Weather?"
          },
          {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
              {
                "function": {
                  "name": "weather",
                  "arguments": {"city": "Paris"}
                }
              },
              {
                "function": {
                  "name": "time",
                  "arguments": {}
                }
              }
            ]
          },
          {
            "role": "tool",
            "content": "sunny",
            "tool_name": "weather"
          },
          {
            "role": "tool",
            "content": "noon",
            "tool_name": "time"
          },
          {
            "role": "assistant",
            "content": "Sunny."
          },
          {
            "role": "user",
            "content": "Thanks <|im_end|>"
          }
        ]"#]]
    .assert_eq(&rendered.text);
}

#[tokio::test]
async fn the_model_has_the_drivers_prefix() {
    let model = engine("http://localhost:1").model();
    assert_eq!(
        (model.name.as_str(), model.fingerprint.as_str()),
        ("ollama:smollm2:135m", "ollama:smollm2:135m")
    );
    assert_eq!(
        (model.context, model.context_tokens, model.tools),
        (ContextPolicy::Bounded, 4_096, true)
    );
}

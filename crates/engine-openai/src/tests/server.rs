use upstream::ServerModel;
use upstream::testing::{ScriptedServer, Step};

use super::server;
use crate::server::with_version;

#[track_caller]
fn check(url: &str, base: &str) {
    assert_eq!(with_version(url), base);
}

#[test]
fn an_address_may_have_its_version_or_not() {
    check("http://localhost:8080", "http://localhost:8080/v1");
    check(" http://localhost:8080// ", "http://localhost:8080/v1");
    check("http://localhost:8080/v1", "http://localhost:8080/v1");
    check("http://localhost:8080/v1/", "http://localhost:8080/v1");
    check("https://host/openai", "https://host/openai/v1");
    check("https://host/v1beta/openai/", "https://host/v1beta/openai");
    check("https://v1.host/vllm", "https://v1.host/vllm/v1");
}

#[tokio::test]
async fn models_are_listed_with_the_key() {
    let list = r#"{"object":"list","data":[{"id":"smollm2:135m","object":"model","meta":{"n_ctx":4096}},{"id":"b"}]}"#;
    let script = vec![Step::head("200 OK", "application/json"), Step::send(list)];
    let refusal = vec![Step::send(
        "HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":{\"message\":\"bad key sk-secret\"}}",
    )];
    let scripted = ScriptedServer::start(vec![script, refusal]).await;
    let server = server(scripted.url());
    let model = |name: &str| ServerModel {
        name: name.to_owned(),
        loaded: None,
    };
    assert_eq!(server.models().await, Ok(vec![model("smollm2:135m"), model("b")]));
    let sent = scripted.next_request().await;
    assert_eq!(sent.line, "GET /v1/models");
    assert!(sent.headers.contains("authorization: Bearer sk-secret"));
    let error = server.models().await.expect_err("the key is refused");
    let name = format!("OpenAI-compatible server at {}/v1", scripted.url());
    assert_eq!(
        error.to_string(),
        format!("{name} failed: the API key was refused: bad key [API key] (status 401)")
    );
    assert!(!format!("{server:?}").contains("sk-secret"));
}

use upstream::ServerModel;
use upstream::testing::{ScriptedServer, Step};

use super::server;

const TAGS: &str =
    r#"{"models":[{"name":"smollm2:135m","model":"smollm2:135m","size":270898672},{"model":"qwen3:8b"}]}"#;

fn json(body: &str) -> Vec<Step> {
    vec![Step::head("200 OK", "application/json"), Step::send(body)]
}

/// Lists the models of a server that plays one script for `/api/tags` and then one for `/api/ps`.
async fn models(scripts: Vec<Vec<Step>>) -> Result<Vec<ServerModel>, String> {
    let scripted = ScriptedServer::start(scripts).await;
    let models = server(scripted.url()).models().await;
    models.map_err(|error| error.to_string().replace(scripted.url(), "URL"))
}

fn model(name: &str, loaded: Option<bool>) -> ServerModel {
    ServerModel {
        name: name.to_owned(),
        loaded,
    }
}

#[tokio::test]
async fn models_in_memory_are_marked_as_loaded() {
    let running = json("{\"models\":[{\"name\":\"qwen3:8b\",\"model\":\"qwen3:8b\"}]}");
    let expected = vec![model("smollm2:135m", Some(false)), model("qwen3:8b", Some(true))];
    assert_eq!(models(vec![json(TAGS), running]).await, Ok(expected));
}

#[tokio::test]
async fn a_server_without_a_list_of_loaded_models_lists_its_models() {
    let unknown = vec![Step::send("HTTP/1.1 404 Not Found\r\n\r\n404 page not found")];
    let expected = vec![model("smollm2:135m", None), model("qwen3:8b", None)];
    assert_eq!(models(vec![json(TAGS), unknown]).await, Ok(expected));
}

#[tokio::test]
async fn a_malformed_list_is_refused() {
    let error = models(vec![json("[]")]).await.expect_err("no list");
    assert!(
        error.starts_with("Ollama at URL failed: its answer has a line that makes no sense"),
        "{error}"
    );
    let refused = vec![Step::send(
        "HTTP/1.1 500 Internal Server Error\r\n\r\n{\"error\":\"boom\"}",
    )];
    let error = models(vec![refused]).await.expect_err("no list");
    assert_eq!(error, "Ollama at URL failed: boom (status 500)");
}

//! What is registered is what `openapi.json` says; `tests/it/documents.rs` asks the running sidecar the same.

use std::cell::RefCell;
use std::collections::BTreeSet;

use actix_web::App;
use serde_json::Value;

use super::routes;

thread_local! {
    /// Paths and methods, as this thread has registered them: `GET /agents`.
    static REGISTERED: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Notes a path that is registered.
pub(super) fn note(path: &str, methods: &[actix_web::http::Method]) {
    // A pattern that only matches one word is that word.
    let path = path.replace("{id:import}", "import");
    REGISTERED.with_borrow_mut(|registered| {
        registered.extend(methods.iter().map(|method| format!("{method} {path}")));
    });
}

#[test]
fn every_route_is_documented() {
    let _app = App::new().configure(routes);
    let registered = REGISTERED.take();
    let document: Value = serde_json::from_str(protocol::OPENAPI).expect("the document is JSON");
    let paths = document["paths"].as_object().expect("it has paths");
    let documented: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flat_map(|methods| methods.keys());
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    assert_eq!(registered, documented);
}

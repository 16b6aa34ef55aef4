//! The registered routes are those of `openapi.json`; `tests/it/documents.rs` checks the same on a running sidecar.

use std::cell::RefCell;
use std::collections::BTreeSet;

use actix_web::App;
use serde_json::Value;

use super::routes;

thread_local! {
    /// Paths and methods that this thread has registered: `GET /agents`.
    static REGISTERED: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Records a path that is registered.
pub(super) fn record(path: &str, methods: &[actix_web::http::Method]) {
    // A pattern that matches only one word is that word.
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

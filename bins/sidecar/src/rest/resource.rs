//! A path of the API: a pattern and the routes of its methods in, a resource that answers other methods with 405 out.

use actix_web::http::{self, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
use protocol::{ErrorCode, Method};

use crate::api_error::ApiError;

/// Makes a resource of these routes that answers other methods with 405 and the list of its own.
pub(super) fn resource(path: &str, routes: impl IntoIterator<Item = (Method, Route)>) -> Resource {
    let mut resource = web::resource(path);
    let mut methods = Vec::new();
    for (method, route) in routes {
        resource = resource.route(route.method(to_actix(method)));
        methods.push(method.as_str());
    }
    let allow = methods.join(", ");
    resource.default_service(web::to(move |request: HttpRequest| {
        let answer = wrong_method(&request, &allow);
        async { answer }
    }))
}

fn to_actix(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Delete => http::Method::DELETE,
    }
}

fn wrong_method(request: &HttpRequest, allow: &str) -> HttpResponse {
    let detail = format!(
        "{} is not allowed on {}, only {allow}",
        request.method(),
        request.path()
    );
    let error = ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        ..ApiError::new(ErrorCode::InvalidRequest, detail)
    };
    let mut response = error.response();
    if let Ok(allow) = header::HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

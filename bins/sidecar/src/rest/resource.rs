//! A path of the API: a pattern and its methods in, a resource that answers other methods with 405 out.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use protocol::ErrorCode;

use crate::api_error::ApiError;

/// Makes a resource that answers methods other than `methods` with 405 and their list.
pub(super) fn resource(path: &str, methods: &[Method]) -> Resource {
    #[cfg(test)]
    super::tests::record(path, methods);
    let allow = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    web::resource(path).default_service(web::to(move |request: HttpRequest| {
        let answer = wrong_method(&request, &allow);
        async { answer }
    }))
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

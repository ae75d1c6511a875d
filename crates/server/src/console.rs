//! The console's files, embedded in the binary. Unknown paths outside the API get the page, whose
//! own router answers them. Not the API.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Response, StatusCode};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "../../console/dist/"]
struct Assets;

const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What is shown by a binary that was built without the console.
const ABSENT: &str = "<!doctype html><title>Atoll</title><p>This binary was built without the \
     console. Build it with <code>make up</code>, which needs Node.</p>";

/// Whether a path is one of the console's pages, which its own router answers, and not a file:
/// pages may end with a name that has dots, files lie at the top or below `assets/`.
pub fn is_page(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    Assets::get(path).is_none()
        && !path.starts_with("assets/")
        && (path.contains('/') || !path.contains('.'))
}

/// Answers with a file of the console, or with its page.
pub fn answer(path: &str, headers: &HeaderMap) -> Response<Body> {
    let path = path.trim_start_matches('/');
    let name = if is_page(path) { "index.html" } else { path };
    if name != "index.html" && Assets::get(name).is_none() {
        return respond(StatusCode::NOT_FOUND, "text/plain", "no-cache", None, "not found".into());
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let accepts = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    for (encoding, ending) in [("br", ".br"), ("gzip", ".gz")] {
        if accepts.split(',').any(|e| e.trim().split(';').next() == Some(encoding))
            && let Some(file) = Assets::get(&format!("{name}{ending}"))
        {
            let body = Body::from(file.data.into_owned());
            return respond(StatusCode::OK, kind.as_ref(), cache, Some(encoding), body);
        }
    }
    match Assets::get(name) {
        Some(file) => {
            let body = Body::from(file.data.into_owned());
            respond(StatusCode::OK, kind.as_ref(), cache, None, body)
        }
        None => respond(StatusCode::OK, "text/html", "no-cache", None, ABSENT.into()),
    }
}

fn respond(
    status: StatusCode,
    kind: &str,
    cache: &str,
    encoding: Option<&str>,
    body: Body,
) -> Response<Body> {
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, cache)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(CONTENT_SECURITY_POLICY, POLICY);
    if let Some(encoding) = encoding {
        response = response.header(CONTENT_ENCODING, encoding);
    }
    response.body(body).expect("all headers are fixed texts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_are_pages_and_missing_files_are_not() {
        for page in ["/", "/hosts", "/deployments/shop.prod", "/instances/shop.prod.3"] {
            assert!(is_page(page), "{page}");
            assert_eq!(answer(page, &HeaderMap::new()).status(), StatusCode::OK, "{page}");
        }
        for file in ["/robots.txt", "/assets/gone-1234.js"] {
            assert!(!is_page(file), "{file}");
            assert_eq!(answer(file, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{file}");
        }
    }
}

//! Keeps web pages away from a server that asks for no key.
//!
//! A browser lets any page send requests to this machine. A page may also give its own name our
//! address once it is loaded (DNS rebinding), and then even read the answers. So without a key the
//! server wants to be called by its address or `localhost`, which no page can take over, and by no
//! page of another origin. With a key it need not care: no page knows it.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::error::ApiError;

/// Refuses what a page of another origin may have sent.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let hosts = headers.get_all(header::HOST);
    let named = uri.authority().map(|authority| authority.as_str().as_bytes());
    let named: Vec<&[u8]> =
        named.into_iter().chain(hosts.iter().map(HeaderValue::as_bytes)).collect();
    // Every browser names a host, so whoever names none could do without this; but it costs nothing.
    if named.is_empty() || !named.iter().all(|host| authority(host).is_some_and(|it| is_ours(&it)))
    {
        let host = shown(named.first().copied().unwrap_or_default());
        return Err(refused(
            format!("answers to its address and to localhost, not to '{host}'. Call it so, or"),
            "host_not_allowed",
        ));
    }
    for origin in headers.get_all(header::ORIGIN) {
        if !named.iter().all(|host| is_same(origin.as_bytes(), host)) {
            let origin = shown(origin.as_bytes());
            return Err(refused(
                format!("takes nothing from pages of '{origin}'. Have their own server ask, or"),
                "origin_not_allowed",
            ));
        }
    }
    Ok(())
}

fn refused(what: String, code: &'static str) -> ApiError {
    let message = format!(
        "This server has no API key, so it {what} set DOCENT_API_KEY where it is started and send \
         the key."
    );
    ApiError::new(StatusCode::FORBIDDEN, message).code(code)
}

fn authority(host: &[u8]) -> Option<Authority> {
    Authority::try_from(host).ok()
}

/// Whether no resolver was asked, or none that a page's owner answers for.
fn is_ours(authority: &Authority) -> bool {
    let host = authority.host();
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok()
        || v6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

/// Whether `origin` is the page of `host`. The origin `null` is nobody's.
fn is_same(origin: &[u8], host: &[u8]) -> bool {
    let page = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    page.is_some_and(|page| page.eq_ignore_ascii_case(host))
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(64).collect()
}

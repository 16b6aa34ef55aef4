//! The names by which this machine may be addressed: an authority or an origin in, allowed or not out.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns true if `host[:port]` is a loopback name or address.
pub(super) fn is_loopback_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else {
                return false;
            };
            let is_loopback = address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
            return is_loopback && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
        }
        None => authority
            .split_once(':')
            .map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_loopback && port.is_none_or(is_port)
}

/// Returns true if a browser's origin is a page of this machine. `null` (a file, a sandboxed frame) never is.
pub(super) fn is_local_origin(origin: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(is_loopback_authority)
}

/// Parses allowed origins, separated by commas. The error names the one that is not an origin.
pub fn parse_origins(text: &str) -> Result<Vec<String>, String> {
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins
        .map(|origin| parse_origin(origin).map(|()| origin.to_owned()))
        .collect()
}

/// Checks an origin in the form that browsers send: they normalise nothing when they compare, so this doesn't either.
fn parse_origin(origin: &str) -> Result<(), String> {
    if origin.contains('*') {
        return Err("* would let every page in: name each origin".to_owned());
    }
    if origin == "null" {
        return Err("null is the origin of any file and sandboxed frame, and is never let in".to_owned());
    }
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-._:[]".contains(&byte);
    let parts = origin.split_once("://").filter(|(scheme, authority)| {
        scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && !authority.is_empty()
            && scheme.bytes().chain(authority.bytes()).all(is_allowed)
    });
    match parts {
        Some(("http", authority)) if authority.ends_with(":80") => Err(format!("{origin:?} is sent without its port")),
        Some(("https", authority)) if authority.ends_with(":443") => {
            Err(format!("{origin:?} is sent without its port"))
        }
        Some(_) => Ok(()),
        None => Err(format!(
            "{origin:?} is no origin: expected scheme://host or scheme://host:port in lower case, with nothing after it"
        )),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

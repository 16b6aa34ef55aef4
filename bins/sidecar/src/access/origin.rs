//! The names by which this machine may be called: an authority or an origin in, yes or no out.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether `host[:port]` is a loopback name or address.
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

/// Whether a browser's origin is a page of this machine. `null` (a file, a sandboxed frame) never is.
pub(super) fn is_allowed_origin(origin: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(is_loopback_authority)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

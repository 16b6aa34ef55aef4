//! Listening addresses: a host and a port in, bound listeners out.
//!
//! `localhost` is both loopback addresses, as some clients try only one of them. Nothing is served here.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::error::StartError;

/// Attempts to find a port that is free on both loopback addresses: the first one nearly always does.
const FREE_PORT_TRIES: usize = 16;

/// Resolves a host, without a port.
///
/// # Errors
/// The name can't be resolved.
pub(super) fn resolve(host: &str) -> Result<Vec<IpAddr>, StartError> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let refused = |source| StartError::Resolve {
        host: host.to_owned(),
        source,
    };
    let mut addresses: Vec<IpAddr> = (bare, 0)
        .to_socket_addrs()
        .map_err(refused)?
        .map(|address| address.ip())
        .collect();
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        Err(refused(io::Error::from(io::ErrorKind::NotFound)))
    } else {
        Ok(addresses)
    }
}

/// Binds every address to the same port; 0 chooses one that is free on all of them.
///
/// An IPv6 address that the machine doesn't have is skipped, unless it is the only one.
///
/// # Errors
/// An address can't be bound, for example because its port is in use.
pub(super) fn bind(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut outcome = bind_all(addresses, port);
    for _ in 1..FREE_PORT_TRIES {
        match &outcome {
            Err(StartError::Listen { source, .. }) if port == 0 && source.kind() == io::ErrorKind::AddrInUse => {
                outcome = bind_all(addresses, port);
            }
            _ => break,
        }
    }
    outcome
}

fn bind_all(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut port = port;
    for address in addresses {
        let wanted = SocketAddr::new(*address, port);
        let bound = TcpListener::bind(wanted).and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        match bound {
            Ok((bound_port, listener)) => {
                port = bound_port;
                listeners.push(listener);
            }
            Err(error) if address.is_ipv6() && !listeners.is_empty() && is_absent(&error) => {
                tracing::info!(%address, "this machine has no such address; not listening there");
            }
            Err(source) => {
                return Err(StartError::Listen {
                    address: wanted.to_string(),
                    source,
                });
            }
        }
    }
    Ok(listeners)
}

/// Returns true if the machine has no IPv6, or not this address.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(ADDRESS_FAMILY_NOT_SUPPORTED)
}

/// `EAFNOSUPPORT` on Linux, which the standard library has no kind for.
const ADDRESS_FAMILY_NOT_SUPPORTED: i32 = 97;

//! The sidecar: settings, routes, socket and command line.

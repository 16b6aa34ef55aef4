//! The engine trait: a request in, a bounded stream of events out.

//! What is said on the sidecar's wire: REST objects, WebSocket frames, error codes.

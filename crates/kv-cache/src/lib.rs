//! The StreamingLLM cache policy: attention sinks and a rolling window, as integers and angles.

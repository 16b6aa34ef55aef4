//! The local transformer on burn, with the StreamingLLM cache.

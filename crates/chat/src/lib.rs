//! One turn from command to log: prompt, engine, store, events.

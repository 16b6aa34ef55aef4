//! What the store promises, tried against real folders.

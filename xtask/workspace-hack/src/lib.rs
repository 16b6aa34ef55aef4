//! Nothing: see the manifest.
//!
//! Cargo leaves features that only development dependencies ask for out of a build without tests, and would compile
//! some libraries, and all that use them, a second time for the tests. As a member that is selected in both builds,
//! this package asks for those features in both. No program contains it.

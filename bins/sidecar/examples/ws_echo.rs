//! Echoes every WebSocket message through the sidecar's own socket layer: `ws_echo [PORT [MESSAGE_BYTES]]`.
//!
//! Prints the address that it listens on, then serves until the process ends. `cargo xtask ws-echo` starts it, and so
//! does the WebSocket conformance run of the test command.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};

use streaming_llm_sidecar::ws_echo::Echo;

/// The largest message of Autobahn's cases.
const MESSAGE_BYTES: u64 = 16 << 20;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let message_bytes = arguments.next().map_or(Ok(MESSAGE_BYTES), |bytes| bytes.parse())?;
    let echo = Echo::bind(port, message_bytes)?;
    writeln!(stdout(), "listening {}", echo.addr())?;
    stdout().flush()?;
    Ok(echo.serve().await?)
}

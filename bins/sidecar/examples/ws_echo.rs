//! Echoes whatever a WebSocket says, through the sidecar's own socket layer: `ws_echo [PORT [MESSAGE_BYTES]]`.
//!
//! It says where it listens, then serves until it is ended. `cargo xtask ws-echo` starts it, and the test command's WebSocket judge
//! does too.

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

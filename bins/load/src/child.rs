//! Runs a server as a child process, so that its memory and processor time can be measured apart from ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _, stdin, stdout};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Pace;
use crate::error::{LoadError, Result};

/// The prefix of a server's first line; its address follows.
const ADDRESS_PREFIX: &str = "listening ";

/// How long a server may take to exit before it is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server process, ended when dropped.
pub(crate) struct Server {
    child: Child,
    /// Closing it makes the server exit.
    stdin: Option<ChildStdin>,
    pub(crate) name: &'static str,
    /// The address that it listens on.
    pub(crate) authority: String,
}

/// Prints this process' address for the parent; a parent that is gone needs none.
pub(crate) fn announce_address(authority: &str) {
    let mut stdout = stdout();
    let _ = writeln!(stdout, "{ADDRESS_PREFIX}{authority}").and_then(|()| stdout.flush());
}

/// Waits until the parent closes this process' standard input, or is gone.
pub(crate) async fn parent_closed() {
    let until_end = || stdin().read_to_end(&mut Vec::new());
    // A standard input that can't be read counts as closed.
    let _ = tokio::task::spawn_blocking(until_end).await;
}

impl Server {
    /// Starts the sidecar.
    pub(crate) fn scripted(pace: Pace) -> Result<Self> {
        Self::start("scripted", pace)
    }

    /// Starts the bare loop on actix-ws.
    pub(crate) fn bare(pace: Pace) -> Result<Self> {
        Self::start("bare", pace)
    }

    fn start(name: &'static str, pace: Pace) -> Result<Self> {
        let failed = |source| LoadError::StartServer { server: name, source };
        let program = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(program)
            .arg(name)
            .args(["--rate", &pace.rate.to_string(), "--tokens", &pace.tokens.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut lines = child
            .stdout
            .take()
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines());
        let authority = lines.find_map(|line| line.ok()?.strip_prefix(ADDRESS_PREFIX).map(str::to_owned));
        let server = Self {
            stdin: child.stdin.take(),
            child,
            name,
            authority: authority.clone().unwrap_or_default(),
        };
        match authority {
            Some(_) => Ok(server),
            None => Err(LoadError::NoAddress { server: name }),
        }
    }

    /// Returns the processor time that it has used.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        /// Linux counts a process' time in hundredths of a second (`USER_HZ`), on every architecture that we serve.
        const TICK: Duration = Duration::from_millis(10);
        /// `utime` and `stime` among the fields after the program's name (proc_pid_stat(5)).
        const USER_AND_SYSTEM: std::ops::Range<usize> = 11..13;
        let pid = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map_or_else(Vec::new, |(_, fields)| fields.split_whitespace().collect());
        let ticks = fields.get(USER_AND_SYSTEM).ok_or(LoadError::NoProcessStats { pid })?;
        let ticks: u32 = ticks.iter().filter_map(|ticks| ticks.parse::<u32>().ok()).sum();
        Ok(TICK * ticks)
    }

    /// Returns its resident set, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let pid = self.child.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        });
        kib.map(|kib| kib * 1024).ok_or(LoadError::NoProcessStats { pid })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server removes its own files when its standard input is closed.
        self.stdin = None;
        let end = Instant::now() + EXIT_TIMEOUT;
        while let Ok(None) = self.child.try_wait()
            && Instant::now() < end
        {
            sleep(Duration::from_millis(20));
        }
        // Both fail if the process has exited already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

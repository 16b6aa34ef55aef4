//! The leases of controllers: who may publish for an agent, and for how long.
//!
//! One holder an agent and workspace. A lease ends by itself unless it is kept alive, by a clock that never goes back; the wall's
//! time is only shown. Pure but for the clock: nothing is stored, and a restart of the process ends every lease.

mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, rfc3339};
use crate::error::LeaseError;
use token::TokenHash;

/// Leases at once: a machine has a handful, and each costs less than 2 KiB.
const MAX_LEASES: usize = 1_024;

/// The longest lease: a controller that is gone is missed within the hour.
const MAX_TTL_SECONDS: u64 = 3_600;

/// The lease of a controller that names no length.
const DEFAULT_TTL_SECONDS: u64 = 60;

/// The leases. Clones are the same leases.
#[derive(Debug, Clone)]
pub struct Leases {
    clock: Clock,
    built_in: Option<String>,
    held: Arc<Mutex<HashMap<Scope, Lease>>>,
}

/// Asks for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseRequest {
    /// The agent.
    pub agent_id: String,
    /// The workspace; all of them when absent, but for those that have a lease of their own.
    pub workspace_id: Option<String>,
    /// How long it lasts; 60 when absent.
    pub ttl_seconds: Option<u64>,
    /// The token of the lease that lives: with it, a controller that was restarted takes its own lease over.
    pub token: Option<String>,
}

/// A lease that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// Names the registration.
    pub registration_id: String,
    /// Shown by its holder; kept nowhere but there.
    pub token: String,
    /// When it ends by the wall's clock: RFC 3339.
    pub expires_at: String,
}

/// Whoever holds a lease that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The registration; absent for the built-in lease.
    pub registration_id: Option<String>,
    /// The agent.
    pub agent_id: String,
    /// The workspace; absent for all of them.
    pub workspace_id: Option<String>,
    /// When it ends by the wall's clock: RFC 3339; absent for the built-in lease.
    pub expires_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Scope {
    agent: String,
    workspace: Option<String>,
}

/// One that is over stays until its place is needed, so that it can be said when it ended.
#[derive(Debug)]
struct Lease {
    registration: String,
    token: TokenHash,
    ttl: Duration,
    ends: Duration,
    shown_end_ms: i64,
}

impl Leases {
    /// No leases, and the clock that ends them.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            built_in: None,
            held: Arc::default(),
        }
    }

    /// Holds the lease of an agent in every workspace, for ever, as long as nobody else wants it.
    #[must_use]
    pub fn with_built_in(self, agent: impl Into<String>) -> Self {
        Self {
            built_in: Some(agent.into()),
            ..self
        }
    }

    /// Gives a lease, also in place of the built-in one, or of the one whose token is shown.
    ///
    /// # Errors
    /// `Held` while another's lives, `BadId`, `BadTtl`, `Full`.
    pub fn register(&self, request: LeaseRequest) -> Result<Granted, LeaseError> {
        check_agent(&request.agent_id)?;
        request.workspace_id.as_deref().map_or(Ok(()), check_workspace)?;
        let seconds = request.ttl_seconds.unwrap_or(DEFAULT_TTL_SECONDS);
        if !(1..=MAX_TTL_SECONDS).contains(&seconds) {
            let most = MAX_TTL_SECONDS;
            return Err(LeaseError::BadTtl { seconds, most });
        }
        let scope = Scope {
            agent: request.agent_id,
            workspace: request.workspace_id,
        };
        let now = self.clock.forward();
        let mut held = self.lock();
        let lives = held.get(&scope).filter(|lease| lease.lives(now));
        if let Some(lease) = lives
            && !request.token.is_some_and(|token| lease.token.is_of(&token))
        {
            return Err(LeaseError::Held {
                agent: scope.agent,
                workspace: scope.workspace,
                until_ms: lease.shown_end_ms,
            });
        }
        make_room(&mut held, &scope, now)?;
        let token = token::new();
        let mut lease = Lease {
            registration: uuid::Uuid::now_v7().to_string(),
            token: TokenHash::of(&token),
            ttl: Duration::from_secs(seconds),
            ends: now,
            shown_end_ms: 0,
        };
        lease.extend(&self.clock, now);
        let granted = Granted {
            registration_id: lease.registration.clone(),
            token,
            expires_at: rfc3339(lease.shown_end_ms),
        };
        held.insert(scope, lease);
        Ok(granted)
    }

    /// Lets a lease begin anew; when it ends now.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn keep_alive(&self, registration: &str, token: &str) -> Result<String, LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let lease = authentic(&mut held, registration, token)?.1;
        lease.check_lives(now)?;
        lease.extend(&self.clock, now);
        Ok(rfc3339(lease.shown_end_ms))
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn release(&self, registration: &str, token: &str) -> Result<(), LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let lease = authentic(&mut held, registration, token)?.1;
        lease.check_lives(now)?;
        lease.ends = now;
        lease.shown_end_ms = self.clock.wall_ms();
        Ok(())
    }

    /// Checks that a registration may act now.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn check(&self, registration: &str, token: &str) -> Result<Holder, LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let (scope, lease) = authentic(&mut held, registration, token)?;
        lease.check_lives(now)?;
        Ok(holder(scope, lease))
    }

    /// Who holds the lease of an agent in a workspace: its own, one for all workspaces, or the built-in one.
    ///
    /// # Errors
    /// `NotRegistered`, which says when the last one ended.
    pub fn holder(&self, agent: &str, workspace: &str) -> Result<Holder, LeaseError> {
        let now = self.clock.forward();
        let held = self.lock();
        let mut ended_ms = None;
        for workspace in [Some(workspace.to_owned()), None] {
            let agent = agent.to_owned();
            let Some((scope, lease)) = held.get_key_value(&Scope { agent, workspace }) else {
                continue;
            };
            if lease.lives(now) {
                return Ok(holder(scope, lease));
            }
            ended_ms = ended_ms.max(Some(lease.shown_end_ms));
        }
        self.built_in(agent).ok_or_else(|| LeaseError::NotRegistered {
            agent: agent.to_owned(),
            workspace: workspace.to_owned(),
            ended_ms,
        })
    }

    /// Everyone whose lease lives, by agent and workspace; the built-in lease first.
    #[must_use]
    pub fn list(&self) -> Vec<Holder> {
        let now = self.clock.forward();
        let held = self.lock();
        let mut living: Vec<_> = held.iter().filter(|(_, lease)| lease.lives(now)).collect();
        living.sort_unstable_by_key(|(scope, _)| *scope);
        let built_in = self.built_in.as_deref().and_then(|agent| self.built_in(agent));
        let living = living.into_iter().map(|(scope, lease)| holder(scope, lease));
        built_in.into_iter().chain(living).collect()
    }

    fn built_in(&self, agent: &str) -> Option<Holder> {
        let is_it = self.built_in.as_deref() == Some(agent);
        is_it.then(|| Holder {
            registration_id: None,
            agent_id: agent.to_owned(),
            workspace_id: None,
            expires_at: None,
        })
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert or the fields of one lease.
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    fn lives(&self, now: Duration) -> bool {
        now < self.ends
    }

    fn check_lives(&self, now: Duration) -> Result<(), LeaseError> {
        if self.lives(now) {
            return Ok(());
        }
        Err(LeaseError::Over {
            registration: self.registration.clone(),
            ended_ms: Some(self.shown_end_ms),
        })
    }

    fn extend(&mut self, clock: &Clock, now: Duration) {
        self.ends = now + self.ttl;
        let ttl_ms = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        self.shown_end_ms = clock.wall_ms().saturating_add(ttl_ms);
    }
}

fn holder(scope: &Scope, lease: &Lease) -> Holder {
    Holder {
        registration_id: Some(lease.registration.clone()),
        agent_id: scope.agent.clone(),
        workspace_id: scope.workspace.clone(),
        expires_at: Some(rfc3339(lease.shown_end_ms)),
    }
}

/// The lease of a registration, whether or not it lives, if the token is its own.
fn authentic<'a>(
    held: &'a mut HashMap<Scope, Lease>,
    registration: &str,
    token: &str,
) -> Result<(&'a Scope, &'a mut Lease), LeaseError> {
    let found = held.iter_mut().find(|(_, lease)| lease.registration == registration);
    let (scope, lease) = found.ok_or_else(|| LeaseError::Over {
        registration: registration.to_owned(),
        ended_ms: None,
    })?;
    if lease.token.is_of(token) {
        return Ok((scope, lease));
    }
    Err(LeaseError::WrongToken {
        registration: registration.to_owned(),
    })
}

/// Forgets the lease that ended first when all places are taken.
fn make_room(held: &mut HashMap<Scope, Lease>, scope: &Scope, now: Duration) -> Result<(), LeaseError> {
    if held.len() < MAX_LEASES || held.contains_key(scope) {
        return Ok(());
    }
    let over = held.iter().filter(|(_, lease)| !lease.lives(now));
    let first = over.min_by_key(|(_, lease)| lease.ends).map(|(scope, _)| scope.clone());
    let first = first.ok_or(LeaseError::Full { limit: MAX_LEASES })?;
    held.remove(&first);
    Ok(())
}

/// Checks an agent's id as far as it matters here: it may stand for an agent of another process.
pub(crate) fn check_agent(agent: &str) -> Result<(), LeaseError> {
    /// As long as the ids of our own agents.
    const MAX_AGENT_BYTES: usize = 64;
    check_id("agentId", agent, MAX_AGENT_BYTES)
}

/// Checks a workspace's id: the host application's own, and so any text.
pub(crate) fn check_workspace(workspace: &str) -> Result<(), LeaseError> {
    /// A path or an address fits.
    const MAX_WORKSPACE_BYTES: usize = 1_024;
    check_id("workspaceId", workspace, MAX_WORKSPACE_BYTES)
}

fn check_id(key: &'static str, id: &str, limit: usize) -> Result<(), LeaseError> {
    if id.trim().is_empty() || id.len() > limit {
        return Err(LeaseError::BadId { key, limit });
    }
    Ok(())
}

//! The leases of controllers: which controller may publish for an agent, and for how long.
//!
//! Each pair of agent and workspace has at most one holder. A lease ends by the monotonic clock unless it is renewed;
//! the wall time is only displayed. Nothing is stored, so a restart of the process ends all leases.

mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, rfc3339};
use crate::error::LeaseError;
use token::TokenHash;

/// Most leases at once: a computer has a handful of controllers, and each lease takes less than 2 KiB.
const MAX_LEASES: usize = 1_024;

/// Longest lease: a dead controller is replaced within the hour.
const MAX_TTL_SECONDS: u64 = 3_600;

/// Duration of a lease if the controller names none.
const DEFAULT_TTL_SECONDS: u64 = 60;

/// The leases of all controllers. Clones share the leases.
#[derive(Debug, Clone)]
pub struct Leases {
    clock: Clock,
    /// The agent of the built-in lease, if there is one.
    built_in: Option<String>,
    /// Active leases, and ended ones whose room isn't needed yet.
    held: Arc<Mutex<HashMap<Scope, Lease>>>,
}

/// A request for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseRequest {
    /// The agent.
    pub agent_id: String,
    /// The workspace; if absent, all workspaces without a lease of their own.
    pub workspace_id: Option<String>,
    /// Duration of the lease; 60 if absent.
    pub ttl_seconds: Option<u64>,
    /// The token of the active lease, with which a restarted controller takes its own lease over.
    pub token: Option<String>,
}

/// A granted lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedLease {
    /// Identifies the registration.
    pub registration_id: String,
    /// The holder's secret, of which only a hash is kept here.
    pub token: String,
    /// When it ends by the wall clock: RFC 3339.
    pub expires_at: String,
}

/// The holder of an active lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The registration; absent for the built-in lease.
    pub registration_id: Option<String>,
    /// The agent.
    pub agent_id: String,
    /// The workspace; absent for all of them.
    pub workspace_id: Option<String>,
    /// When it ends by the wall clock: RFC 3339; absent for the built-in lease.
    pub expires_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Scope {
    agent: String,
    workspace: Option<String>,
}

/// A lease. An ended one is kept until its room is needed, so that errors can name when it ended.
#[derive(Debug)]
struct Lease {
    registration: String,
    token: TokenHash,
    ttl: Duration,
    /// When it ends by the monotonic clock.
    ends: Duration,
    /// When it ends by the wall clock, for display.
    wall_end_ms: i64,
}

impl Leases {
    /// Creates an empty set of leases, which end by this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            built_in: None,
            held: Arc::default(),
        }
    }

    /// Adds a built-in lease of an agent in all workspaces, which has no end, and which any other lease replaces.
    #[must_use]
    pub fn with_built_in(self, agent: impl Into<String>) -> Self {
        Self {
            built_in: Some(agent.into()),
            ..self
        }
    }

    /// Grants a lease, also in place of the built-in one, or of the one whose token is given.
    ///
    /// # Errors
    /// `Held` while another lease is active, `BadId`, `BadTtl`, `Full`.
    pub fn register(&self, request: LeaseRequest) -> Result<GrantedLease, LeaseError> {
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
        let active = held.get(&scope).filter(|lease| lease.is_active(now));
        if let Some(lease) = active
            && !request.token.is_some_and(|token| lease.token.is_of(&token))
        {
            return Err(LeaseError::Held {
                agent: scope.agent,
                workspace: scope.workspace,
                until_ms: lease.wall_end_ms,
            });
        }
        make_room(&mut held, &scope, now)?;
        let token = token::new();
        let mut lease = Lease {
            registration: uuid::Uuid::now_v7().to_string(),
            token: TokenHash::of(&token),
            ttl: Duration::from_secs(seconds),
            ends: now,
            wall_end_ms: 0,
        };
        lease.extend(&self.clock, now);
        let granted = GrantedLease {
            registration_id: lease.registration.clone(),
            token,
            expires_at: rfc3339(lease.wall_end_ms),
        };
        held.insert(scope, lease);
        Ok(granted)
    }

    /// Renews a lease, and returns its new end.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn keep_alive(&self, registration: &str, token: &str) -> Result<String, LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let lease = find_authenticated(&mut held, registration, token)?.1;
        lease.check_active(now)?;
        lease.extend(&self.clock, now);
        Ok(rfc3339(lease.wall_end_ms))
    }

    /// Ends a lease.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn release(&self, registration: &str, token: &str) -> Result<(), LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let lease = find_authenticated(&mut held, registration, token)?.1;
        lease.check_active(now)?;
        lease.ends = now;
        lease.wall_end_ms = self.clock.wall_ms();
        Ok(())
    }

    /// Checks that a registration's lease is active.
    ///
    /// # Errors
    /// `Over`, `WrongToken`.
    pub fn check(&self, registration: &str, token: &str) -> Result<LeaseHolder, LeaseError> {
        let now = self.clock.forward();
        let mut held = self.lock();
        let (scope, lease) = find_authenticated(&mut held, registration, token)?;
        lease.check_active(now)?;
        Ok(holder(scope, lease))
    }

    /// Returns the holder of an agent's lease in a workspace: of its own, of one for all workspaces, or of the built-in
    /// one.
    ///
    /// # Errors
    /// `NotRegistered`, which names when the last one ended.
    pub fn holder(&self, agent: &str, workspace: &str) -> Result<LeaseHolder, LeaseError> {
        let now = self.clock.forward();
        let held = self.lock();
        let mut ended_ms = None;
        for workspace in [Some(workspace.to_owned()), None] {
            let agent = agent.to_owned();
            let Some((scope, lease)) = held.get_key_value(&Scope { agent, workspace }) else {
                continue;
            };
            if lease.is_active(now) {
                return Ok(holder(scope, lease));
            }
            ended_ms = ended_ms.max(Some(lease.wall_end_ms));
        }
        self.built_in(agent).ok_or_else(|| LeaseError::NotRegistered {
            agent: agent.to_owned(),
            workspace: workspace.to_owned(),
            ended_ms,
        })
    }

    /// Returns the holders of all active leases, by agent and workspace; that of the built-in lease first.
    #[must_use]
    pub fn list(&self) -> Vec<LeaseHolder> {
        let now = self.clock.forward();
        let held = self.lock();
        let mut active: Vec<_> = held.iter().filter(|(_, lease)| lease.is_active(now)).collect();
        active.sort_unstable_by_key(|(scope, _)| *scope);
        let built_in = self.built_in.as_deref().and_then(|agent| self.built_in(agent));
        let active = active.into_iter().map(|(scope, lease)| holder(scope, lease));
        built_in.into_iter().chain(active).collect()
    }

    fn built_in(&self, agent: &str) -> Option<LeaseHolder> {
        let is_it = self.built_in.as_deref() == Some(agent);
        is_it.then(|| LeaseHolder {
            registration_id: None,
            agent_id: agent.to_owned(),
            workspace_id: None,
            expires_at: None,
        })
    }

    /// Locks the leases. A poisoned lock is fine, since each change is one insert or the fields of one lease.
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Lease>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    fn is_active(&self, now: Duration) -> bool {
        now < self.ends
    }

    fn check_active(&self, now: Duration) -> Result<(), LeaseError> {
        if self.is_active(now) {
            return Ok(());
        }
        Err(LeaseError::Over {
            registration: self.registration.clone(),
            ended_ms: Some(self.wall_end_ms),
        })
    }

    fn extend(&mut self, clock: &Clock, now: Duration) {
        self.ends = now + self.ttl;
        let ttl_ms = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        self.wall_end_ms = clock.wall_ms().saturating_add(ttl_ms);
    }
}

fn holder(scope: &Scope, lease: &Lease) -> LeaseHolder {
    LeaseHolder {
        registration_id: Some(lease.registration.clone()),
        agent_id: scope.agent.clone(),
        workspace_id: scope.workspace.clone(),
        expires_at: Some(rfc3339(lease.wall_end_ms)),
    }
}

/// Returns the lease of a registration, active or ended, if the token belongs to it.
fn find_authenticated<'a>(
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

/// Drops the lease that ended first if the limit is reached.
fn make_room(held: &mut HashMap<Scope, Lease>, scope: &Scope, now: Duration) -> Result<(), LeaseError> {
    if held.len() < MAX_LEASES || held.contains_key(scope) {
        return Ok(());
    }
    let over = held.iter().filter(|(_, lease)| !lease.is_active(now));
    let first = over.min_by_key(|(_, lease)| lease.ends).map(|(scope, _)| scope.clone());
    let first = first.ok_or(LeaseError::Full { limit: MAX_LEASES })?;
    held.remove(&first);
    Ok(())
}

/// Checks the length of an agent's id, which may be an agent of another process.
pub(crate) fn check_agent(agent: &str) -> Result<(), LeaseError> {
    /// The limit of the ids of our own agents.
    const MAX_AGENT_BYTES: usize = 64;
    check_id("agentId", agent, MAX_AGENT_BYTES)
}

/// Checks the length of a workspace's id, which is any text of the host application.
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

//! The store: reads the folder at each call, and writes under one lock.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    Agent, AgentId, AgentProblem, AgentStoreError, Condition, Draft, FileProblem, MAX_FILE_BYTES, Put,
    folder::{self, Folder},
    markdown,
};

/// The most files that are served: each list reads all of them.
const MAX_AGENTS: usize = 1_024;

/// The agents that are written to an empty folder.
const SEEDS: [(&str, &str); 3] = [
    ("planner", include_str!("../seeds/planner.md")),
    ("researcher", include_str!("../seeds/researcher.md")),
    ("controller", include_str!("../seeds/controller.md")),
];

/// The agents of a folder. Clones share one store.
#[derive(Debug, Clone)]
pub struct AgentStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Folder,
    /// Held from reading the stored file to writing its replacement.
    writing: Mutex<()>,
}

impl AgentStore {
    /// Opens a folder, creates it if it is missing, and writes `planner`, `researcher` and `controller` if it has no
    /// agent file at all.
    ///
    /// # Errors
    /// [`AgentStoreError::OpenFolder`]; [`AgentStoreError::Write`] if the first agents can't be written. A broken file
    /// is not an error here.
    pub fn open(folder: &Path) -> Result<Self, AgentStoreError> {
        let opening = |source| AgentStoreError::OpenFolder {
            path: folder.to_owned(),
            source,
        };
        let folder = Folder::create(folder).map_err(opening)?;
        let is_empty = folder.names().map_err(opening)?.is_empty();
        let store = Self {
            inner: Arc::new(Inner {
                folder,
                writing: Mutex::new(()),
            }),
        };
        if is_empty {
            store.seed()?;
        }
        Ok(store)
    }

    /// Lists the agents by id. Broken files are skipped; [`Self::problems`] returns them.
    ///
    /// # Errors
    /// [`AgentStoreError::OpenFolder`] if the folder can't be listed.
    pub fn list(&self) -> Result<Vec<Agent>, AgentStoreError> {
        match self.scan() {
            Ok((agents, _)) => Ok(agents),
            Err(source) => Err(self.opening(source)),
        }
    }

    /// Lists the files that are not valid agents, and why.
    pub fn problems(&self) -> Vec<AgentProblem> {
        match self.scan() {
            Ok((_, problems)) => problems,
            Err(source) => {
                let file = self.inner.folder.path().display().to_string();
                vec![AgentProblem {
                    file,
                    problem: FileProblem::Unreadable(source),
                }]
            }
        }
    }

    /// Reads one agent.
    ///
    /// # Errors
    /// [`AgentStoreError::NotFound`], [`AgentStoreError::Broken`].
    pub fn get(&self, id: &AgentId) -> Result<Agent, AgentStoreError> {
        let stored = self
            .read(id)?
            .ok_or_else(|| AgentStoreError::NotFound { id: id.clone() })?;
        Ok(stored.agent)
    }

    /// Creates or replaces an agent if the condition holds. Options and unknown keys of the front matter are kept.
    ///
    /// # Errors
    /// [`AgentStoreError::ConditionFailed`], [`AgentStoreError::Broken`] (the file's content would be lost),
    /// [`AgentStoreError::Unstorable`] (too large), [`AgentStoreError::BlankName`], [`AgentStoreError::TooManyAgents`],
    /// [`AgentStoreError::Write`]. After each of them, what was stored is unchanged.
    pub fn put(&self, draft: Draft, condition: Option<&Condition>) -> Result<Put, AgentStoreError> {
        if draft.name.trim().is_empty() {
            return Err(AgentStoreError::BlankName { id: draft.id });
        }
        let _writing = self.lock();
        let stored = self.read(&draft.id)?;
        if let Some(condition) = condition
            && !condition.holds_for(stored.as_ref().map(|stored| &stored.agent))
        {
            let stored = stored.map(|stored| stored.agent.hash);
            return Err(AgentStoreError::ConditionFailed { id: draft.id, stored });
        }
        if stored.is_none() {
            self.check_room()?;
        }
        let created = stored.is_none();
        let (text, agent) = prepare(&draft, stored).map_err(|source| AgentStoreError::Unstorable {
            id: draft.id.clone(),
            source,
        })?;
        self.write(&draft.id, &text)?;
        Ok(Put { agent, created })
    }

    /// Deletes an agent's file, even a broken one.
    ///
    /// # Errors
    /// [`AgentStoreError::NotFound`], [`AgentStoreError::Delete`].
    pub fn delete(&self, id: &AgentId) -> Result<(), AgentStoreError> {
        let _writing = self.lock();
        let folder = &self.inner.folder;
        let deleting = |source| AgentStoreError::Delete {
            path: folder.file(id),
            source,
        };
        match folder.remove(id).map_err(deleting)? {
            true => Ok(()),
            false => Err(AgentStoreError::NotFound { id: id.clone() }),
        }
    }

    fn seed(&self) -> Result<(), AgentStoreError> {
        for (id, text) in SEEDS {
            let id = AgentId::parse(id).expect("the seeds' ids follow the rule");
            self.write(&id, text)?;
        }
        Ok(())
    }

    fn scan(&self) -> io::Result<(Vec<Agent>, Vec<AgentProblem>)> {
        let folder = &self.inner.folder;
        let (mut agents, mut problems) = (Vec::new(), Vec::new());
        for (index, name) in folder.names()?.into_iter().enumerate() {
            let file = name.to_string_lossy().into_owned();
            if index == MAX_AGENTS {
                problems.push(AgentProblem {
                    file,
                    problem: FileProblem::TooMany { limit: MAX_AGENTS },
                });
                break;
            }
            let read = folder::id_of(&name).and_then(|id| read(folder, &id));
            match read {
                Ok(Some(stored)) => agents.push(stored.agent),
                // It was deleted after the folder was listed.
                Ok(None) => {}
                Err(problem) => problems.push(AgentProblem { file, problem }),
            }
        }
        Ok((agents, problems))
    }

    fn check_room(&self) -> Result<(), AgentStoreError> {
        let names = self.inner.folder.names().map_err(|source| self.opening(source))?;
        if names.len() >= MAX_AGENTS {
            return Err(AgentStoreError::TooManyAgents { limit: MAX_AGENTS });
        }
        Ok(())
    }

    fn opening(&self, source: io::Error) -> AgentStoreError {
        AgentStoreError::OpenFolder {
            path: self.inner.folder.path().to_owned(),
            source,
        }
    }

    fn read(&self, id: &AgentId) -> Result<Option<Stored>, AgentStoreError> {
        read(&self.inner.folder, id).map_err(|source| AgentStoreError::Broken {
            file: format!("{id}.md"),
            source,
        })
    }

    fn write(&self, id: &AgentId, text: &str) -> Result<(), AgentStoreError> {
        let folder = &self.inner.folder;
        folder.write(id, text).map_err(|source| AgentStoreError::Write {
            path: folder.file(id),
            source,
        })
    }

    /// Takes the lock. It guards no data, so a panic while it was held can't have left any half changed.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.inner.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An agent with the text of its file.
pub(crate) struct Stored {
    pub(crate) text: String,
    pub(crate) agent: Agent,
}

fn read(folder: &Folder, id: &AgentId) -> Result<Option<Stored>, FileProblem> {
    let Some(text) = folder.read(id)? else { return Ok(None) };
    let agent = markdown::parse(id, &text)?;
    Ok(Some(Stored { text, agent }))
}

/// Renders the file's text, and returns it with the agent that it reads back as, which is checked to be the draft's.
pub(crate) fn prepare(draft: &Draft, stored: Option<Stored>) -> Result<(String, Agent), FileProblem> {
    let (before, behaviour) = stored.map(|stored| (stored.text, stored.agent.behaviour())).unzip();
    let text = markdown::render(draft, before.as_deref())?;
    let bytes = text.len() as u64;
    if bytes > MAX_FILE_BYTES {
        return Err(FileProblem::TooLarge {
            bytes,
            limit: MAX_FILE_BYTES,
        });
    }
    let agent = markdown::parse(&draft.id, &text)?;
    if agent != Agent::new(draft.clone(), behaviour.unwrap_or_default()) {
        return Err(FileProblem::ReadsBackDifferently);
    }
    Ok((text, agent))
}

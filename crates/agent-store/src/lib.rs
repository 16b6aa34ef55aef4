//! Agents as Markdown files with front matter, one file an agent.

//! Derives names of files and conversations from ids of any content.
//!
//! A name is a readable beginning of letters and digits, then a hash of the id. So no id can leave its folder, share
//! the file of another (not even on a file system that ignores case, or by a look-alike), be a device's name, or be too
//! long.

use sha2::{Digest, Sha256};

/// Most readable characters before the hash: enough to recognise a workspace, and with the hash below all limits.
const READABLE_CHARS: usize = 40;

/// Returns the file name of an id: `[a-z0-9-]`, at most 105 bytes.
pub(crate) fn file_name(id: &str) -> String {
    joined(id, &hash(&[id]))
}

/// Returns the id of the conversation of a workspace and an agent.
pub(crate) fn conversation_id(workspace: &str, agent: &str) -> String {
    /// Hexadecimal digits of the hash: 128 bits, as a UUID has.
    const DIGITS: usize = 32;
    format!("narrator-{}", joined(workspace, &hash(&[workspace, agent])[..DIGITS]))
}

/// Returns the SHA-256 of the parts, each preceded by its length, in hexadecimal.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn joined(id: &str, hash: &str) -> String {
    let mut name = String::new();
    for character in id.chars().take(READABLE_CHARS) {
        match character.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9') => name.push(kept),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    let readable = name.trim_end_matches('-');
    if readable.is_empty() {
        hash.to_owned()
    } else {
        format!("{readable}-{hash}")
    }
}

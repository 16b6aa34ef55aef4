//! The form of a conversation's file, and its way to disk and back.
//!
//! A file is frames, one behind the other: first the head alone, then one frame a checkpoint, which is a mark and the bytes that
//! [`kv_cache::KvStore::save`] gave. A frame is the length of its words (u32), the length of its bytes (u64), a CRC-32 of both
//! lengths and the words (u32), all little endian, then the words in JSON, then the bytes, which have a checksum of their own.
//! What is behind the last whole frame was torn by a crash, and is as good as not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use engine::TurnTag;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{Head, Mark, VERSION};
use crate::SequenceCache;
use crate::worker::Conversation;

/// How the names of conversations' files end.
const EXTENSION: &str = "kv";

/// Of a file that is being written for the first time.
const NEW_EXTENSION: &str = "new";

/// Bytes of a file's name: half of this many hex digits is a 128-bit hash, and no two conversations share it.
const NAME_BYTES: usize = 16;

const LENGTHS: usize = size_of::<u32>() + size_of::<u64>();

const PREFIX: usize = LENGTHS + size_of::<u32>();

/// Words that a frame may have: a system part that a model can hold is far smaller.
const MAX_WORDS: u32 = 16 << 20;

/// Where a conversation's file is. Its name is a hash: those of conversations are whatever users like.
pub(super) fn path(folder: &Path, conversation: &str) -> PathBuf {
    let hash = Sha256::digest(conversation.as_bytes());
    let name: String = hash[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(name).with_extension(EXTENSION)
}

/// What is to be written of a checkpoint.
pub(super) struct Frame {
    /// Lengths, checksum and words.
    words: Vec<u8>,
    body: Vec<u8>,
}

impl Frame {
    pub(super) fn head(head: &Head) -> Self {
        Self::new(head, Vec::new())
    }

    pub(super) fn checkpoint(mark: &Mark, body: Vec<u8>) -> Self {
        Self::new(mark, body)
    }

    fn new(words: &impl Serialize, body: Vec<u8>) -> Self {
        let json = serde_json::to_vec(words).expect("names, numbers and lists can be written");
        let json_bytes = u32::try_from(json.len()).expect("words are a system part at most, which a model holds");
        let mut words = Vec::with_capacity(PREFIX + json.len());
        words.extend_from_slice(&json_bytes.to_le_bytes());
        words.extend_from_slice(&(body.len() as u64).to_le_bytes());
        words.extend_from_slice(&checksum(&words, &json).to_le_bytes());
        words.extend_from_slice(&json);
        Self { words, body }
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() + self.body.len()
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        file.write_all(&self.words)?;
        file.write_all(&self.body)
    }
}

/// Writes a file beside the one that it will replace, and gives its path. Whoever finds the other one still wanted renames it.
pub(super) fn write_new(path: &Path, frames: &[Frame]) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension(NEW_EXTENSION);
    let written = File::create(&new).and_then(|mut file| frames.iter().try_for_each(|frame| frame.write(&mut file)));
    match written {
        Ok(()) => Ok(new),
        Err(error) => {
            // What could not be written takes no room.
            drop(fs::remove_file(&new));
            Err(error)
        }
    }
}

/// Adds frames to a file whose whole frames end at `end`.
pub(super) fn append(path: &Path, end: u64, frames: &[Frame]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() < end {
        return Err(io::Error::other("the file is shorter than it was"));
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    frames.iter().try_for_each(|frame| frame.write(&mut file))
}

/// Removes a file, as far as it is there.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(file = %path.display(), %error, "a cache on disk can't be removed"),
    }
}

/// What a folder has, read but not changed: another process may be at work there until this one has been let in.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Conversations that can be gone on from, the one that was used longest ago first.
    pub(super) found: Vec<Found>,
    /// Files that nobody can use.
    pub(super) useless: Vec<PathBuf>,
}

/// A conversation that can be gone on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) conversation: String,
    pub(super) through: TurnTag,
    /// Where its whole frames end.
    pub(super) bytes: u64,
}

/// Looks through a folder for conversations with the model of that name.
///
/// # Errors
/// The folder is there and can't be read.
pub(super) fn survey(folder: &Path, model: &str) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(survey),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for file in files {
        let file = file?;
        let path = file.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some(EXTENSION | NEW_EXTENSION)) {
            continue;
        }
        let used = file.metadata().and_then(|metadata| metadata.modified());
        match (look(&path, model), used) {
            (Ok(Some(one)), Ok(used)) if path == self::path(folder, &one.conversation) => found.push((used, one)),
            (Ok(_) | Err(_), _) => survey.useless.push(path),
        }
    }
    found.sort_by_key(|(used, _)| *used);
    survey.found = found.into_iter().map(|(_, one)| one).collect();
    Ok(survey)
}

/// Reads the words of a file; nothing if no checkpoint in it is whole, or it belongs to another model or version.
fn look(path: &Path, model: &str) -> io::Result<Option<Found>> {
    let mut frames = Frames::open(path)?;
    let Some(head) = frames.head(model)? else {
        return Ok(None);
    };
    let mut newest = None;
    while let Some((mark, body_bytes)) = frames.next::<Mark>()? {
        frames.pass_over(body_bytes)?;
        newest = Some((mark, frames.at));
    }
    Ok(newest.map(|(mark, end)| Found {
        conversation: head.conversation,
        through: TurnTag(mark.last),
        bytes: end,
    }))
}

/// Brings a conversation back as its last whole checkpoint has it, with where in the file that ends; nothing where there is none.
pub(super) fn load(
    path: &Path,
    model: &str,
    new_cache: impl FnOnce(kv_cache::CachePolicy) -> Option<SequenceCache>,
) -> io::Result<Option<(Conversation, u64)>> {
    let mut frames = Frames::open(path)?;
    let Some(head) = frames.head(model)? else {
        return Ok(None);
    };
    let Some(mut cache) = new_cache(head.policy()) else {
        return Ok(None);
    };
    let mut newest = None;
    while let Some((mark, body_bytes)) = frames.next::<Mark>()? {
        let body = frames.read(body_bytes)?;
        let Some((ring, store)) = cache.f16_mut() else {
            return Ok(None);
        };
        if let Err(error) = store.restore(ring, &body) {
            tracing::warn!(file = %path.display(), %error, "a checkpoint is damaged");
            break;
        }
        if cache.position() != mark.position {
            return Ok(None);
        }
        newest = Some((mark, frames.at));
    }
    Ok(newest.map(|(mark, end)| (head.into_conversation(cache, mark), end)))
}

/// The frames of a file, as far as they are whole.
struct Frames {
    file: BufReader<File>,
    len: u64,
    /// Where the next frame begins.
    at: u64,
}

impl Frames {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file: BufReader::new(file),
            len,
            at: 0,
        })
    }

    /// The head, if it is of this version and that model.
    fn head(&mut self, model: &str) -> io::Result<Option<Head>> {
        let head = self.next::<Head>()?;
        Ok(head
            .filter(|(head, body_bytes)| head.version == VERSION && head.model == model && *body_bytes == 0)
            .map(|(head, _)| head))
    }

    /// The words of the next frame and the length of its bytes, which are read or skipped next; nothing if it isn't whole.
    fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, u64)>> {
        let left = self.len.saturating_sub(self.at);
        if left < PREFIX as u64 {
            return Ok(None);
        }
        let mut prefix = [0; PREFIX];
        self.file.read_exact(&mut prefix)?;
        let (lengths, sum) = prefix.split_at(LENGTHS);
        let (words_bytes, body_bytes) = lengths.split_at(size_of::<u32>());
        let words_bytes = u32::from_le_bytes(words_bytes.try_into().expect("it is four bytes"));
        let body_bytes = u64::from_le_bytes(body_bytes.try_into().expect("it is eight bytes"));
        let frame_bytes = (PREFIX as u64 + u64::from(words_bytes)).checked_add(body_bytes);
        if words_bytes > MAX_WORDS || frame_bytes.is_none_or(|bytes| bytes > left) {
            return Ok(None);
        }
        let mut words = vec![0; words_bytes as usize];
        self.file.read_exact(&mut words)?;
        if checksum(lengths, &words).to_le_bytes() != sum {
            return Ok(None);
        }
        self.at += PREFIX as u64 + u64::from(words_bytes);
        Ok(serde_json::from_slice(&words).ok().map(|words| (words, body_bytes)))
    }

    fn pass_over(&mut self, body_bytes: u64) -> io::Result<()> {
        self.at += body_bytes;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    /// The bytes, which are no more than the file has.
    fn read(&mut self, body_bytes: u64) -> io::Result<Vec<u8>> {
        self.at += body_bytes;
        let mut body = vec![0; usize::try_from(body_bytes).map_err(io::Error::other)?];
        self.file.read_exact(&mut body)?;
        Ok(body)
    }
}

fn checksum(lengths: &[u8], words: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(lengths);
    hasher.update(words);
    hasher.finalize()
}

//! The format of a conversation's file: written, scanned and loaded.
//!
//! A file is a sequence of frames: the header, then one checkpoint a turn. A frame is the length of its metadata (u32),
//! the length of its body (u64), a CRC-32 of both lengths and the metadata (u32), all little endian, then the metadata
//! in JSON, then the body. A header has no body; that of a checkpoint is what [`kv_cache::KvStore::save`] returned,
//! which has a checksum of its own. Bytes behind the last whole frame were torn by a crash, and are ignored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use engine::TurnTag;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::record::{Checkpoint, Header, VERSION};
use crate::SequenceCache;
use crate::cache_index::FileContents;
use crate::conversation::Conversation;

/// The extension of conversations' files.
const EXTENSION: &str = "kv";

/// The extension of a file that is being written for the first time.
const NEW_EXTENSION: &str = "new";

/// Bytes of the hash in a file's name: with 128 bits, no two conversations share a name.
const NAME_BYTES: usize = 16;

const LENGTHS_BYTES: usize = size_of::<u32>() + size_of::<u64>();

const PREFIX_BYTES: usize = LENGTHS_BYTES + size_of::<u32>();

/// Bytes of metadata that a frame may have: a system part that a model can hold is far smaller.
const MAX_METADATA_BYTES: u32 = 16 << 20;

/// Returns the path of a conversation's file. Its name is a hash, because the name of a conversation may contain
/// anything.
pub(super) fn path(folder: &Path, conversation: &str) -> PathBuf {
    let hash = Sha256::digest(conversation.as_bytes());
    let name: String = hash[..NAME_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(name).with_extension(EXTENSION)
}

/// One frame, encoded.
pub(super) struct Frame {
    /// Lengths, checksum and metadata.
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Frame {
    pub(super) fn header(header: &Header) -> Self {
        Self::new(header, Vec::new())
    }

    pub(super) fn checkpoint(checkpoint: &Checkpoint, body: Vec<u8>) -> Self {
        Self::new(checkpoint, body)
    }

    fn new(metadata: &impl Serialize, body: Vec<u8>) -> Self {
        let json = serde_json::to_vec(metadata).expect("names, numbers and lists can be written");
        let json_bytes =
            u32::try_from(json.len()).expect("metadata is little more than a system part, which a model holds");
        let mut head = Vec::with_capacity(PREFIX_BYTES + json.len());
        head.extend_from_slice(&json_bytes.to_le_bytes());
        head.extend_from_slice(&(body.len() as u64).to_le_bytes());
        head.extend_from_slice(&checksum(&head, &json).to_le_bytes());
        head.extend_from_slice(&json);
        Self { head, body }
    }

    pub(super) fn bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        file.write_all(&self.head)?;
        file.write_all(&self.body)
    }
}

/// Writes a file beside the one that it will replace, and returns its path. The caller renames it.
pub(super) fn write_new(path: &Path, frames: &[Frame]) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension(NEW_EXTENSION);
    let written = File::create(&new).and_then(|mut file| frames.iter().try_for_each(|frame| frame.write(&mut file)));
    match written {
        Ok(()) => Ok(new),
        Err(error) => {
            // An incomplete file must not take up room.
            drop(fs::remove_file(&new));
            Err(error)
        }
    }
}

/// Appends frames to a file whose whole frames end at `offset`.
pub(super) fn append(path: &Path, offset: u64, frames: &[Frame]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() < offset {
        return Err(io::Error::other("the file is shorter than it was"));
    }
    file.set_len(offset)?;
    file.seek(SeekFrom::Start(offset))?;
    frames.iter().try_for_each(|frame| frame.write(&mut file))
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(file = %path.display(), %error, "a cache on disk can't be removed"),
    }
}

/// The contents of a folder. Scanning changes nothing: another process may use the folder until this one has got the
/// data lock.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Conversations that can be continued from, with what their files have; least recently used first.
    pub(super) usable: Vec<(String, FileContents)>,
    /// Files of another model or version, damaged files and leftovers.
    pub(super) unusable: Vec<PathBuf>,
}

/// Finds the conversations of `model` in a folder.
///
/// # Errors
/// The folder exists and can't be read.
pub(super) fn scan(folder: &Path, model: &str) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(scan),
        Err(error) => return Err(error),
    };
    let mut usable = Vec::new();
    for file in files {
        let file = file?;
        let path = file.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some(EXTENSION | NEW_EXTENSION)) {
            continue;
        }
        let used = file.metadata().and_then(|metadata| metadata.modified());
        match (inspect(&path, model), used) {
            (Ok(Some((name, contents))), Ok(used)) if path == self::path(folder, &name) => {
                usable.push((used, (name, contents)));
            }
            (Ok(_) | Err(_), _) => scan.unusable.push(path),
        }
    }
    usable.sort_by_key(|(used, _)| *used);
    scan.usable = usable.into_iter().map(|(_, found)| found).collect();
    Ok(scan)
}

/// Reads the metadata of a file. Returns `None` if no checkpoint in it is whole, or it belongs to another model or
/// version.
fn inspect(path: &Path, model: &str) -> io::Result<Option<(String, FileContents)>> {
    let mut frames = Frames::open(path)?;
    let Some(header) = frames.header(model)? else {
        return Ok(None);
    };
    let mut newest = None;
    while let Some((checkpoint, body_bytes)) = frames.next::<Checkpoint>()? {
        frames.skip(body_bytes)?;
        newest = Some((checkpoint, frames.at));
    }
    Ok(newest.map(|(checkpoint, bytes)| {
        let through = TurnTag(checkpoint.last);
        (header.conversation, FileContents { through, bytes })
    }))
}

/// Loads a conversation from its last whole checkpoint, with the offset where that ends. Returns `None` if there is
/// none.
pub(super) fn load(
    path: &Path,
    model: &str,
    new_cache: impl FnOnce(kv_cache::CachePolicy) -> Option<SequenceCache>,
) -> io::Result<Option<(Conversation, u64)>> {
    let mut frames = Frames::open(path)?;
    let Some(header) = frames.header(model)? else {
        return Ok(None);
    };
    let Some(mut cache) = new_cache(header.policy()) else {
        return Ok(None);
    };
    let mut newest = None;
    while let Some((checkpoint, body_bytes)) = frames.next::<Checkpoint>()? {
        let body = frames.read(body_bytes)?;
        let Some((ring, store)) = cache.f16_mut() else {
            return Ok(None);
        };
        if let Err(error) = store.restore(ring, &body) {
            tracing::warn!(file = %path.display(), %error, "a checkpoint is damaged");
            break;
        }
        if cache.position() != checkpoint.position {
            return Ok(None);
        }
        newest = Some((checkpoint, frames.at));
    }
    Ok(newest.map(|(checkpoint, end)| (header.into_conversation(cache, checkpoint), end)))
}

/// Reads the whole frames of a file, one after the other.
struct Frames {
    file: BufReader<File>,
    len: u64,
    /// The offset where the next frame begins.
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

    /// Reads the header. Returns `None` if it is of another version or model.
    fn header(&mut self, model: &str) -> io::Result<Option<Header>> {
        let header = self.next::<Header>()?;
        Ok(header
            .filter(|(header, body_bytes)| header.version == VERSION && header.model == model && *body_bytes == 0)
            .map(|(header, _)| header))
    }

    /// Reads the metadata of the next frame and the length of its body, which must be read or skipped next. Returns
    /// `None` if the frame isn't whole.
    fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, u64)>> {
        let left = self.len.saturating_sub(self.at);
        if left < PREFIX_BYTES as u64 {
            return Ok(None);
        }
        let mut prefix = [0; PREFIX_BYTES];
        self.file.read_exact(&mut prefix)?;
        let (lengths, sum) = prefix.split_at(LENGTHS_BYTES);
        let (metadata_bytes, body_bytes) = lengths.split_at(size_of::<u32>());
        let metadata_bytes = u32::from_le_bytes(metadata_bytes.try_into().expect("it is four bytes"));
        let body_bytes = u64::from_le_bytes(body_bytes.try_into().expect("it is eight bytes"));
        let frame_bytes = (PREFIX_BYTES as u64 + u64::from(metadata_bytes)).checked_add(body_bytes);
        if metadata_bytes > MAX_METADATA_BYTES || frame_bytes.is_none_or(|bytes| bytes > left) {
            return Ok(None);
        }
        let mut metadata = vec![0; metadata_bytes as usize];
        self.file.read_exact(&mut metadata)?;
        if checksum(lengths, &metadata).to_le_bytes() != sum {
            return Ok(None);
        }
        self.at += PREFIX_BYTES as u64 + u64::from(metadata_bytes);
        Ok(serde_json::from_slice(&metadata)
            .ok()
            .map(|metadata| (metadata, body_bytes)))
    }

    fn skip(&mut self, body_bytes: u64) -> io::Result<()> {
        self.at += body_bytes;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }

    /// Reads a body, which is never longer than the file.
    fn read(&mut self, body_bytes: u64) -> io::Result<Vec<u8>> {
        self.at += body_bytes;
        let mut body = vec![0; usize::try_from(body_bytes).map_err(io::Error::other)?];
        self.file.read_exact(&mut body)?;
        Ok(body)
    }
}

fn checksum(lengths: &[u8], metadata: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(lengths);
    hasher.update(metadata);
    hasher.finalize()
}

//! The segments of the write-ahead log: files that are appended to in the order of time, and removed once the database
//! has their events.
//!
//! A segment begins with [`HEADER`]. Then each append is one line: the CRC-32 of its JSON as eight hexadecimal digits,
//! a space, the JSON. A line that was cut short by a kill was never acknowledged. Segments are never synced: they
//! outlive the process, and a power cut undoes what it would undo of a commit with `synchronous=NORMAL`, too.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::unflushed::WalEvent;

/// The first line of every segment; a later format gets another number.
pub(super) const HEADER: &str = "streaming-llm running turns 1\n";

/// What that line begins with in every version.
const HEADER_NAME: &[u8] = b"streaming-llm running turns ";

const PREFIX: &str = "running-";
const SUFFIX: &str = ".log";

/// A segment's size, a few seconds of hundreds of turns: then another one is begun, and this one can be removed as soon
/// as its events are flushed.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The longest line that is read back: several times the largest append, as JSON.
const MAX_LINE: u64 = 1 << 20;

/// One append, as a line stores it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SegmentRecord<C, E> {
    pub(super) conversation: C,
    pub(super) events: E,
}

/// This process's segments, and those of ended processes that still have unflushed events.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    /// The segment that is appended to; made by the first append that needs it.
    current: Option<Segment>,
    /// Segments that take no more appends.
    sealed: Vec<Segment>,
    last_number: u64,
    /// The line that is written, kept for its allocation.
    line: Vec<u8>,
}

/// A segment, locked as long as it is open.
#[derive(Debug)]
struct Segment {
    /// Counts this process's segments; not part of the file's name.
    number: u64,
    file: File,
    path: PathBuf,
    bytes: u64,
    /// How many of its events the database lacks.
    unflushed: usize,
}

/// A segment whose events are all in the database.
#[derive(Debug)]
pub(crate) struct ObsoleteSegment(Segment);

impl ObsoleteSegment {
    /// Removes the file. One that stays is read at the next start, and adds nothing then.
    pub(crate) fn remove(self) {
        let Self(segment) = self;
        if let Err(error) = fs::remove_file(&segment.path) {
            tracing::warn!(path = %segment.path.display(), %error, "cannot remove a journal");
        }
    }
}

impl Segments {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            current: None,
            sealed: Vec::new(),
            last_number: 0,
            line: Vec::new(),
        }
    }

    /// Appends events in one write, and returns the number of their segment. After an error no segment has any of them.
    pub(super) fn append(&mut self, conversation: &str, events: &[WalEvent]) -> io::Result<u64> {
        self.line.clear();
        self.line.extend_from_slice(b"00000000 ");
        serde_json::to_writer(&mut self.line, &SegmentRecord { conversation, events })?;
        let (sum, json) = self.line.split_at_mut(9);
        write!(&mut sum[..8], "{:08x}", crc32fast::hash(json))?;
        self.line.push(b'\n');
        let mut segment = match self.current.take() {
            Some(segment) => segment,
            None => self.create()?,
        };
        match segment.file.write_all(&self.line) {
            Ok(()) => {
                segment.bytes += self.line.len() as u64;
                segment.unflushed += events.len();
                Ok(self.current.insert(segment).number)
            }
            Err(error) => {
                if segment.file.set_len(segment.bytes).is_ok() {
                    self.current = Some(segment);
                } else {
                    // It may end in half a line: no other may follow that.
                    self.sealed.push(segment);
                }
                Err(error)
            }
        }
    }

    /// Seals the current segment if it is full. Returns the number that the next one will have.
    pub(super) fn rotate_if_full(&mut self) -> Option<u64> {
        let full = self.current.take_if(|segment| segment.bytes >= SEGMENT_BYTES)?;
        self.sealed.push(full);
        Some(self.last_number + 1)
    }

    /// Adopts a segment of an ended process, of which the database lacks `unflushed` events. Returns its number here.
    pub(super) fn adopt(&mut self, FoundSegment { path, file, .. }: FoundSegment, unflushed: usize) -> u64 {
        let number = self.next_number();
        self.sealed.push(Segment {
            number,
            file,
            path,
            bytes: 0,
            unflushed,
        });
        number
    }

    /// Counts one event of that segment as flushed.
    pub(super) fn release(&mut self, number: u64) {
        let segments = self.current.iter_mut().chain(&mut self.sealed);
        for segment in segments.filter(|segment| segment.number == number) {
            segment.unflushed -= 1;
        }
    }

    /// Takes out the sealed segments without unflushed events.
    pub(super) fn take_obsolete(&mut self) -> Vec<ObsoleteSegment> {
        self.sealed
            .extract_if(.., |segment| segment.unflushed == 0)
            .map(ObsoleteSegment)
            .collect()
    }

    /// Seals the current segment. Returns what is obsolete then.
    pub(super) fn close(&mut self) -> Vec<ObsoleteSegment> {
        self.sealed.extend(self.current.take());
        self.take_obsolete()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn create(&mut self) -> io::Result<Segment> {
        let path = self.folder.join(format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4().simple()));
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        let mut begin = || {
            file.try_lock()?;
            file.write_all(HEADER.as_bytes())
        };
        if let Err(error) = begin() {
            // An empty file would be read at the next start and add nothing; there had better be none.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Segment {
            number: self.next_number(),
            file,
            path,
            bytes: HEADER.len() as u64,
            unflushed: 0,
        })
    }
}

/// A segment of an ended process, with its records.
#[derive(Debug)]
pub(super) struct FoundSegment {
    path: PathBuf,
    file: File,
    pub(super) records: Vec<SegmentRecord<String, Vec<WalEvent>>>,
}

/// Reads the segments of ended processes in a folder. Those of a running process are locked, and skipped.
pub(super) fn find(folder: &Path) -> io::Result<Vec<FoundSegment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let mut file = File::open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => continue,
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let records = read(&mut file)?;
        found.push(FoundSegment { path, file, records });
    }
    Ok(found)
}

/// Reads a segment up to its first line that is not whole.
fn read(file: &mut File) -> io::Result<Vec<SegmentRecord<String, Vec<WalEvent>>>> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut records = Vec::new();
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if std::mem::take(&mut is_first) {
            if line == HEADER.as_bytes() {
                continue;
            }
            // A newer version's segment must not be dropped by this one. Any other header is what a power cut leaves of
            // a file that was never synced.
            let version = line.strip_prefix(HEADER_NAME).and_then(|rest| rest.strip_suffix(b"\n"));
            if version.is_some_and(|version| version.iter().all(u8::is_ascii_digit)) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a journal is of another version",
                ));
            }
            return Ok(records);
        }
        match parse(&line) {
            Some(record) => records.push(record),
            None => return Ok(records),
        }
    }
}

/// Parses one line. Returns `None` if it is not whole, or its checksum is wrong.
fn parse(line: &[u8]) -> Option<SegmentRecord<String, Vec<WalEvent>>> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (crc32fast::hash(json) == sum)
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

//! The journal: files to which events are appended in the order of time, and which are removed once the database has them.
//!
//! A file begins with [`HEADER`]; then each append is one line: the CRC-32 of its JSON as eight hexadecimal digits, a space, the JSON.
//! A line that a kill has cut short was never acknowledged. Files are never synced: they outlive the process, and a power cut takes
//! back what a commit with `synchronous=NORMAL` would lose, too.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::LiveEvent;

/// The first line of every file; a later form gets another number.
pub(super) const HEADER: &str = "streaming-llm running turns 1\n";

/// What that line begins with in every version.
const NAME: &[u8] = b"streaming-llm running turns ";

const PREFIX: &str = "running-";
const SUFFIX: &str = ".log";

/// A file takes this much, a few seconds of hundreds of turns; then another is begun, and the first can go as soon as it is flushed.
const SEGMENT_BYTES: u64 = 4 << 20;

/// The longest line that is read back: several times what one append may hold, in JSON.
const MAX_LINE: u64 = 1 << 20;

/// One append.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry<C, E> {
    pub(super) conversation: C,
    pub(super) events: E,
}

/// This process's files, and those of ended ones that still hold something.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    current: Option<Segment>,
    old: Vec<Segment>,
    next: u64,
    line: Vec<u8>,
}

/// A file of the journal, locked as long as it is open.
#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Events in it that the database doesn't have.
    held: usize,
}

/// A file that nobody needs any more.
#[derive(Debug)]
pub(crate) struct Retired(Segment);

impl Retired {
    /// Removes it. One that stays is read at the next start, and adds nothing then.
    pub(crate) fn remove(self) {
        let Self(segment) = self;
        if let Err(error) = fs::remove_file(&segment.path) {
            tracing::warn!(path = %segment.path.display(), %error, "cannot remove a journal");
        }
    }
}

impl Journal {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            current: None,
            old: Vec::new(),
            next: 0,
            line: Vec::new(),
        }
    }

    /// Appends events in one write; the number of the file that has them. After an error it has nothing of them.
    pub(super) fn append(&mut self, conversation: &str, events: &[LiveEvent]) -> io::Result<u64> {
        self.line.clear();
        self.line.extend_from_slice(b"00000000 ");
        serde_json::to_writer(&mut self.line, &Entry { conversation, events })?;
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
                segment.held += events.len();
                Ok(self.current.insert(segment).number)
            }
            Err(error) => {
                if segment.file.set_len(segment.bytes).is_ok() {
                    self.current = Some(segment);
                } else {
                    // It may end in half a line: no other may follow that.
                    self.old.push(segment);
                }
                Err(error)
            }
        }
    }

    /// Has another file begin if this one is long enough; the number that it will have.
    pub(super) fn begin_segment_if_full(&mut self) -> Option<u64> {
        let full = self.current.take_if(|segment| segment.bytes >= SEGMENT_BYTES)?;
        self.old.push(full);
        Some(self.next + 1)
    }

    /// Takes over a file of an ended process, which holds so many events that the database lacks.
    pub(super) fn take_over(&mut self, Found { path, file, .. }: Found, held: usize) -> u64 {
        let number = self.number();
        self.old.push(Segment {
            number,
            file,
            path,
            bytes: 0,
            held,
        });
        number
    }

    /// Notes that the database has an event of that file.
    pub(super) fn let_go(&mut self, number: u64) {
        let segments = self.current.iter_mut().chain(&mut self.old);
        for segment in segments.filter(|segment| segment.number == number) {
            segment.held -= 1;
        }
    }

    /// Gives up the files that hold nothing and take no more.
    pub(super) fn retire(&mut self) -> Vec<Retired> {
        self.old
            .extract_if(.., |segment| segment.held == 0)
            .map(Retired)
            .collect()
    }

    /// Takes no more.
    pub(super) fn close(&mut self) -> Vec<Retired> {
        self.old.extend(self.current.take());
        self.retire()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn create(&mut self) -> io::Result<Segment> {
        let path = self.folder.join(format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4().simple()));
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        let mut begin = || {
            file.try_lock()?;
            file.write_all(HEADER.as_bytes())
        };
        if let Err(error) = begin() {
            // An empty file would be read at the next start, and add nothing; better there is none.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Segment {
            number: self.number(),
            file,
            path,
            bytes: HEADER.len() as u64,
            held: 0,
        })
    }
}

/// A file of an ended process.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    file: File,
    pub(super) entries: Vec<Entry<String, Vec<LiveEvent>>>,
}

/// Reads the files of ended processes in a folder; those of a running one are locked, and left alone.
pub(super) fn find(folder: &Path) -> io::Result<Vec<Found>> {
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
        let entries = read(&mut file)?;
        found.push(Found { path, file, entries });
    }
    Ok(found)
}

/// Reads a file up to its first line that is not whole.
fn read(file: &mut File) -> io::Result<Vec<Entry<String, Vec<LiveEvent>>>> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut entries = Vec::new();
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if std::mem::take(&mut is_first) {
            if line == HEADER.as_bytes() {
                continue;
            }
            // A newer version's is not for this one to drop. Anything else is what a power cut leaves of a file that was never synced.
            let version = line.strip_prefix(NAME).and_then(|rest| rest.strip_suffix(b"\n"));
            if version.is_some_and(|version| version.iter().all(u8::is_ascii_digit)) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a journal is of another version",
                ));
            }
            return Ok(entries);
        }
        match parse(&line) {
            Some(entry) => entries.push(entry),
            None => return Ok(entries),
        }
    }
}

fn parse(line: &[u8]) -> Option<Entry<String, Vec<LiveEvent>>> {
    let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
    let sum = std::str::from_utf8(sum.strip_suffix(b" ")?).ok()?;
    let sum = u32::from_str_radix(sum, 16).ok()?;
    (crc32fast::hash(json) == sum)
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

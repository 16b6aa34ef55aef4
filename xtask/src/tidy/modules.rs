//! The files of a crate as a tree of modules, and which file uses which.
//!
//! Paths are read off the text: `use` declarations and paths that begin with `crate`, `self` or `super`. A name that a
//! module passes on by `use` is followed to the file that has it. Macros, and modules within a file, are not looked
//! into.

use std::collections::{BTreeMap, BTreeSet};

use super::file::File;

/// How many `use` declarations a name may pass through; a circle of them ends here.
const MAX_REEXPORTS: usize = 16;

/// The modules of one crate by their paths (`turn::log`; the root's is empty), without tests.
pub(super) struct ModuleTree<'a> {
    modules: BTreeMap<Vec<&'a str>, Module<'a>>,
}

/// One file of a crate.
struct Module<'a> {
    file: &'a File,
    /// What its `use` declarations bring in, by the name it has here.
    imports: BTreeMap<&'a str, Vec<&'a str>>,
    /// Every path that begins with `crate`, `self`, `super` or a child, of `use` declarations and of other code.
    paths: Vec<Vec<&'a str>>,
}

impl<'a> ModuleTree<'a> {
    /// The trees of all crates of the workspace that have a library or a program.
    pub(super) fn all(files: &'a [File]) -> Vec<Self> {
        let mut crates: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
        for file in files {
            if let Some((folder, _)) = file.path.split_once("/src/").filter(|_| file.library_code().is_some()) {
                crates.entry(folder).or_default().push(file);
            }
        }
        crates.into_values().map(|files| Self::new(&files)).collect()
    }

    fn new(files: &[&'a File]) -> Self {
        let has_library = files.iter().any(|file| file.path.ends_with("/src/lib.rs"));
        let mut modules = BTreeMap::new();
        for file in files {
            // A program beside a library is a crate of its own, of one file.
            if has_library && file.path.ends_with("/src/main.rs") {
                continue;
            }
            modules.insert(module_path(&file.path), Module::new(file));
        }
        Self { modules }
    }

    /// The file of a module.
    pub(super) fn file(&self, module: &[&str]) -> Option<&'a File> {
        self.modules.get(module).map(|module| module.file)
    }

    /// For every module the others that it uses, without itself.
    pub(super) fn uses(&self) -> BTreeMap<&[&'a str], BTreeSet<&[&'a str]>> {
        let uses = self.modules.iter().map(|(from, module)| {
            let targets = module.paths.iter().filter_map(|path| self.resolve(from, path, 0));
            (from.as_slice(), targets.filter(|to| to != from).collect())
        });
        uses.collect()
    }

    /// The module in which a path ends that is written in the module `from`; `None` for other crates and `std`.
    fn resolve(&self, from: &[&'a str], path: &[&'a str], n_reexports: usize) -> Option<&[&'a str]> {
        let (mut here, mut rest) = (from.to_vec(), path);
        match *path.first()? {
            "crate" => {
                here.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            first => {
                let child = [from, &[first]].concat();
                self.modules.get(&child)?;
            }
        }
        while let Some((&name, after)) = rest.split_first() {
            if name == "super" {
                here.pop()?;
                rest = after;
                continue;
            }
            here.push(name);
            if self.modules.contains_key(&here) {
                rest = after;
                continue;
            }
            here.pop();
            let imported = self.modules.get(&here)?.imports.get(name);
            if let Some(imported) = imported.filter(|_| n_reexports < MAX_REEXPORTS) {
                let whole = [imported, after].concat();
                if let Some(found) = self.resolve(&here, &whole, n_reexports + 1) {
                    return Some(found);
                }
            }
            break;
        }
        self.modules.get_key_value(&here).map(|(path, _)| path.as_slice())
    }
}

impl<'a> Module<'a> {
    fn new(file: &'a File) -> Self {
        let code = file.library_code().unwrap_or_default();
        let mut module = Self {
            file,
            imports: BTreeMap::new(),
            paths: Vec::new(),
        };
        let mut covered = 0;
        for at in words(code, "use") {
            if at < covered {
                continue;
            }
            let end = code[at..].find(';').map_or(code.len(), |len| at + len);
            module.read_use(&code[at + "use".len()..end]);
            covered = end;
        }
        for start in ["crate", "self", "super"] {
            for at in words(code, start) {
                let path = leading_path(&code[at..]);
                if path.len() > 1 {
                    module.paths.push(path);
                }
            }
        }
        module
    }

    /// Reads a tree such as `crate::{a::B, c as d}`.
    fn read_use(&mut self, tree: &'a str) {
        let mut leaves = Vec::new();
        use_leaves(tree.trim(), &[], &mut leaves);
        for (path, name) in leaves {
            if let Some(name) = name {
                self.imports.insert(name, path.clone());
            }
            self.paths.push(path);
        }
    }
}

/// `crates/chat/src/turn/log.rs` is `turn::log`.
fn module_path(path: &str) -> Vec<&str> {
    let below = path.split_once("/src/").map_or(path, |(_, below)| below);
    let stem = below.strip_suffix(".rs").unwrap_or(below);
    match stem {
        "lib" | "main" => Vec::new(),
        stem => stem.split('/').collect(),
    }
}

/// The paths of a use tree with the name that each has here; a glob has none.
fn use_leaves<'a>(tree: &'a str, before: &[&'a str], leaves: &mut Vec<(Vec<&'a str>, Option<&'a str>)>) {
    if let Some(list) = tree.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        for part in split_list(list) {
            use_leaves(part.trim(), before, leaves);
        }
        return;
    }
    match tree.split_once("::").filter(|(first, _)| is_name(first.trim())) {
        Some((first, rest)) => use_leaves(rest.trim(), &[before, &[first.trim()]].concat(), leaves),
        None => {
            let (original, name) = tree.split_once(" as ").unwrap_or((tree, tree));
            let (original, name) = (original.trim(), name.trim());
            match original {
                "" => {}
                "*" => leaves.push((before.to_vec(), None)),
                "self" => leaves.push((before.to_vec(), before.last().copied())),
                original => leaves.push(([before, &[original]].concat(), Some(name))),
            }
        }
    }
}

/// Cuts at the commas that are in no inner braces.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// The names that a text begins with, joined by `::`.
fn leading_path(text: &str) -> Vec<&str> {
    let mut path = Vec::new();
    let mut rest = text;
    loop {
        let len = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        if len == 0 {
            return path;
        }
        path.push(&rest[..len]);
        match rest[len..].strip_prefix("::") {
            Some(after) => rest = after,
            None => return path,
        }
    }
}

/// Where a word stands by itself, and no path leads to it.
fn words<'a>(code: &'a str, word: &'static str) -> impl Iterator<Item = usize> + 'a {
    let starts = code.match_indices(word).map(|(at, _)| at);
    starts.filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(|character| is_word(character) || character == ':') && !after.is_some_and(is_word)
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word)
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

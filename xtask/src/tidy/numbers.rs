//! `cargo xtask tidy --numbers`: how large the code is and how it hangs together, for comparing two commits.
//!
//! Only code of libraries and programs counts: no tests, no generated files. It checks nothing.

use super::{circles, file::File, modules::ModuleTree};

/// What begins a public item, behind `pub `.
const ITEMS: [&str; 9] = [
    "fn",
    "async fn",
    "const",
    "struct",
    "enum",
    "trait",
    "type",
    "static",
    "unsafe fn",
];

/// Prints the numbers of the tree.
pub(super) fn print(files: &[File]) {
    let rust: Vec<(&File, &str)> = files
        .iter()
        .filter(|file| !file.is_generated())
        .filter_map(|file| Some((file, file.library_code()?)))
        .collect();
    let mut file_lines: Vec<usize> = rust.iter().map(|(file, _)| file.text.lines().count()).collect();
    let mut function_lines: Vec<usize> = rust.iter().flat_map(|(_, code)| function_lengths(code)).collect();
    file_lines.sort_unstable();
    function_lines.sort_unstable();
    let trees = ModuleTree::all(files);
    let circles: usize = trees.iter().map(|tree| circles::circles(tree).len()).sum();
    let in_circles: usize = trees.iter().flat_map(circles::circles).map(|circle| circle.len()).sum();
    let public_items: usize = rust
        .iter()
        .filter(|(file, _)| file.path.starts_with("crates/"))
        .map(|(_, code)| public_items(code))
        .sum();
    println!("Rust files without tests   {}", file_lines.len());
    println!("  lines in all             {}", file_lines.iter().sum::<usize>());
    println!(
        "  lines: median, largest   {}, {}",
        quantile(&file_lines, 50),
        quantile(&file_lines, 100)
    );
    println!("functions                  {}", function_lines.len());
    println!(
        "  lines: p50, p90, largest {}, {}, {}",
        quantile(&function_lines, 50),
        quantile(&function_lines, 90),
        quantile(&function_lines, 100)
    );
    println!("circles of modules         {circles}, of {in_circles} modules");
    println!("public items of crates/    {public_items}");
}

/// The lines of each function that has a body, its signature among them.
pub(super) fn function_lengths(code: &str) -> Vec<usize> {
    let starts = code.match_indices("fn ").map(|(at, _)| at);
    let starts =
        starts.filter(|&at| !code[..at].ends_with(|character: char| character.is_alphanumeric() || character == '_'));
    starts.filter_map(|at| function_length(&code[at..])).collect()
}

/// The lines up to the brace that closes the body; `None` where a semicolon or nothing comes in its place.
fn function_length(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.checked_sub(1)?,
            b';' if braces == 0 && brackets == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 && brackets == 0 {
                    return Some(1 + code[..at].matches('\n').count());
                }
            }
            _ => {}
        }
    }
    None
}

/// How many items are public without a bound.
pub(super) fn public_items(code: &str) -> usize {
    let declared = code.match_indices("pub ").filter(|(at, _)| {
        let rest = &code[at + "pub ".len()..];
        ITEMS
            .iter()
            .any(|item| rest.strip_prefix(item).is_some_and(|rest| rest.starts_with(' ')))
    });
    declared.count()
}

/// The smallest value that is not below so many per cent of the sorted values; 0 of none.
fn quantile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

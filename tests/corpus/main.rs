//! The corpora of the fuzz targets, and some thousands of mutations of them, through the very functions that are fuzzed.

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

mod memory;
mod mutation;
mod targets;

/// How many mutations each file gets.
const MUTATIONS: u64 = 50;

/// The files of a target, by name.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files
}

/// Runs one text; where it fails, says which it was, so that it becomes a file.
fn check(target: &str, text: &[u8], origin: &str) -> Result<(), String> {
    let result = panic::catch_unwind(|| targets::run(target, text));
    result.map_err(|_| format!("{target}: {origin}: {:?}", String::from_utf8_lossy(text)))
}

fn check_corpus(target: &str) -> Result<(), String> {
    let files = corpus(target);
    let texts: Vec<_> = files.iter().map(|path| fs::read(path).expect("it can be read")).collect();
    assert!(texts.len() >= 10, "{target} has a corpus");
    for (path, text) in files.iter().zip(&texts) {
        check(target, text, &path.display().to_string())?;
        for seed in 0..MUTATIONS {
            let mutated = mutation::mutated(text, &texts, seed);
            check(target, &mutated, &format!("{} with seed {seed}", path.display()))?;
        }
    }
    Ok(())
}

#[test]
fn every_target_keeps_what_it_promises_on_its_corpus() {
    let failed: Vec<_> = targets::TARGETS.iter().filter_map(|(target, _)| check_corpus(target).err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_target_is_fuzzed_and_every_fuzz_target_is_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut fuzzed: Vec<_> = fs::read_dir(folder)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .map(|path| path.file_stem().expect("a name").to_str().expect("a text").to_owned())
        .collect();
    fuzzed.sort();
    assert_eq!(fuzzed, targets::TARGETS.map(|(name, _)| name));
}

//! The fuzz targets' seeds, replayed through the same checks on the stable toolchain.

// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[path = "../fuzz/checks.rs"]
mod checks;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 10, "{replayed} seeds");
}

#[test]
fn frame() {
    replay("frame", checks::frame);
}

#[test]
fn event() {
    replay("event", checks::event);
}

#[test]
fn percent() {
    replay("percent", checks::percent);
}

#[test]
fn log_line() {
    replay("log_line", checks::log_line);
}

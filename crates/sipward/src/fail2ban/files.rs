//! Which files fail2ban reads, and in which order (`jail.conf(5)`, section "Configuration files
//! format"): `NAME.conf`, `NAME.d/*.conf`, `NAME.local`, `NAME.d/*.local`, each folder in the order of
//! names; `before` and `after` of a file's `[INCLUDES]` around it.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::ini::Ini;
use super::{ImportError, Notes};

/// Longest file that is read, in bytes; fail2ban's own `jail.conf` has 25,000.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Files read at most, includes counted each time.
const MAX_FILES: usize = 512;

/// Includes inside includes.
const MAX_DEPTH: usize = 8;

/// Reads everything that belongs to `name` (`jail`, `fail2ban`).
pub(super) fn read(directory: &Path, name: &str, notes: &mut Notes) -> Result<Ini, ImportError> {
    let missing =
        |reason: String| ImportError::NoConfiguration { directory: directory.to_owned(), reason };
    let folder = directory.join(format!("{name}.d"));
    let mut files = Vec::new();
    for ending in ["conf", "local"] {
        files.push(directory.join(format!("{name}.{ending}")));
        files.extend(listed(&folder, ending));
    }
    files.retain(|file| file.is_file());
    if files.is_empty() {
        fs::metadata(directory).map_err(|error| missing(error.to_string()))?;
        return Err(missing(format!("there is neither {name}.conf nor {name}.local")));
    }
    let mut reader = Reader { read: 0, notes };
    let mut all = Ini::default();
    for file in files {
        reader.read(&file, 0, &mut all);
    }
    Ok(all)
}

fn listed(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new(ending)))
        .take(MAX_FILES)
        .collect();
    files.sort_unstable();
    files
}

struct Reader<'a> {
    read: usize,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    fn read(&mut self, file: &Path, depth: usize, all: &mut Ini) {
        if self.read >= MAX_FILES || depth > MAX_DEPTH {
            self.notes.add(format!("{} was skipped: too many files", file.display()));
            return;
        }
        self.read += 1;
        let text = match text_of(file) {
            Ok(text) => text,
            Err(error) => {
                self.notes.add(format!("{} was skipped: {error}", file.display()));
                return;
            }
        };
        let (ini, bad) = Ini::parse(&text);
        for line in bad {
            self.notes.add(format!("{}:{} is invalid", file.display(), line.number));
        }
        self.included(&ini, "before", file, depth, all);
        all.merge(ini.clone());
        self.included(&ini, "after", file, depth, all);
    }

    fn included(&mut self, ini: &Ini, key: &str, file: &Path, depth: usize, all: &mut Ini) {
        let Some(Ok(names)) = ini.value("INCLUDES", key) else {
            return;
        };
        let folder = file.parent().unwrap_or(Path::new("."));
        for name in names.split_whitespace() {
            let included = folder.join(name);
            // `paths-overrides.local` and the like are named whether they exist or not.
            if included.is_file() {
                self.read(&included, depth + 1, all);
            }
            let local = included.with_extension("local");
            if local != included && local.is_file() {
                self.read(&local, depth + 1, all);
            }
        }
    }
}

fn text_of(file: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

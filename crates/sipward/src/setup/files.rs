//! Files that are written: shown before, complete or not at all, and left alone where nothing changes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not there yet.
    New,
    /// It is there with another text.
    Changed,
    /// It stays as it is.
    Same,
}

/// A file to be written.
#[derive(Clone)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
    /// What is shown of it.
    pub shown: String,
}

impl std::fmt::Debug for Written {
    /// Without the text, which may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Written {
    /// What writing it would change.
    #[must_use]
    pub fn change(&self) -> Change {
        match fs::read(&self.path) {
            Ok(there) if there == self.text.as_bytes() => Change::Same,
            Ok(_) => Change::Changed,
            Err(_) => Change::New,
        }
    }

    /// Writes it beside its place and moves it there, with directories above it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = PathBuf::from(name);
        // Of an earlier attempt, perhaps with other permissions.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(self.mode).open(&beside)?;
        file.write_all(self.text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_written_once_and_readable_as_asked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("etc/sipward/esl-password");
        let (text, shown) = ("x\n".to_owned(), "hidden".to_owned());
        let mut file = Written { path: path.clone(), text, mode: 0o600, shown };
        assert_eq!(file.change(), Change::New);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path.with_file_name("esl-password.new"), "left behind").unwrap();
        file.write().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.change(), Change::Same);
        file.text.push('y');
        assert_eq!(file.change(), Change::Changed);
        assert!(!format!("{file:?}").contains('x') || !format!("{file:?}").contains("x\\n"));
    }
}

//! The configuration file and its drop-ins: `conf.d/*.toml` beside it, in the order of their names.
//!
//! Each may set any key. A later value replaces an earlier one, and lists are joined: a drop-in adds to `allow`, it
//! takes nothing from it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::error::Problem;
use super::file::File;
use super::{Config, ConfigError, DEFAULT_PATH, MAX_FILE, aliases, span};

/// Most drop-ins.
const MAX_DROP_INS: usize = 64;

/// The commented file, which names every key with its default.
pub const EXAMPLE: &str = include_str!("../../../deploy/sipward.toml");

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// All files, each after those that it outranks.
#[derive(Clone, Debug)]
pub struct Layers(pub(super) Vec<Layer>);

impl Layers {
    /// Reads the file at `path` and its drop-ins. Without a path the default one is read when it exists.
    ///
    /// # Errors
    /// When one of them cannot be read or is too large, or when there are too many.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::read_file(path.unwrap_or(Path::new(DEFAULT_PATH)), path.is_some())
    }

    /// As [`Layers::read`], where the file may be missing.
    ///
    /// # Errors
    /// As [`Layers::read`].
    pub fn read_if_there(file: &Path) -> Result<Self, ConfigError> {
        Self::read_file(file, false)
    }

    fn read_file(file: &Path, required: bool) -> Result<Self, ConfigError> {
        let text = match read(file) {
            Err(ConfigError::Read { source, .. })
                if !required && source.kind() == std::io::ErrorKind::NotFound =>
            {
                String::new()
            }
            other => other?,
        };
        let mut layers = vec![Layer { path: file.to_owned(), text }];
        for path in drop_ins(file)? {
            let text = read(&path)?;
            layers.push(Layer { path, text });
        }
        Ok(Self(layers))
    }

    /// One file without drop-ins; `path` is for messages only.
    pub(super) fn single(text: &str, path: &Path) -> Self {
        Self(vec![Layer { path: path.to_owned(), text: text.to_owned() }])
    }

    /// The directory whose drop-ins are read for the file at `path`.
    #[must_use]
    pub fn directory(path: Option<&Path>) -> PathBuf {
        path.unwrap_or(Path::new(DEFAULT_PATH)).with_file_name("conf.d")
    }

    /// What all of them mean.
    ///
    /// # Errors
    /// When one is not TOML, or holds an unknown key or a value out of range.
    pub fn config(&self) -> Result<Config, ConfigError> {
        // Each by itself first, because only then is the place of an error known.
        let mut files = Vec::new();
        for Layer { path, text } in &self.0 {
            let parsed = toml::from_str::<File>(text);
            files.push(parsed.map_err(|error| ConfigError::from_toml(path, text, &error))?);
        }
        let whole = match files.pop() {
            Some(only) if files.is_empty() => only,
            // By way of text: a second form of the same reader would be half a megabyte of program.
            Some(_) | None => toml::from_str(&self.merged().to_string())
                .map_err(|error| self.place(&Problem::new("", error.message().to_owned())))?,
        };
        whole.into_config().map_err(|problem| self.place(&problem))
    }

    /// Every key of a valid configuration with its value, as a file, and behind each where it comes from.
    #[must_use]
    pub fn effective(&self) -> String {
        let layers = self.tables();
        let mut table = defaults();
        let mut text = String::new();
        merge(&mut table, self.merged(), "", true);
        self.print(&layers, &table, "", &mut text);
        text
    }

    fn print(&self, layers: &[Table], table: &Table, prefix: &str, text: &mut String) {
        let (tables, values): (Vec<_>, Vec<_>) =
            table.iter().partition(|(_, value)| value.is_table());
        if !prefix.is_empty() && !values.is_empty() {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "\n[{prefix}]");
        }
        for (name, value) in values {
            let from = self.setting(layers, &dotted(prefix, name));
            let from = if from.is_empty() { "default".to_owned() } else { from.join(", ") };
            let _ = writeln!(text, "{name} = {value}  # {from}");
        }
        for (name, value) in tables {
            if let Value::Table(inner) = value {
                self.print(layers, inner, &dotted(prefix, name), text);
            }
        }
    }

    /// The files from which the value of a key comes: of a list all that set it, else the last.
    fn setting(&self, layers: &[Table], key: &str) -> Vec<String> {
        let mut from: Vec<(String, &Value)> = Vec::new();
        for (layer, table) in self.0.iter().zip(layers) {
            if let Some(value) = value_of(table, key) {
                if !value.is_array() {
                    from.clear();
                }
                from.push((layer.path.display().to_string(), value));
            }
        }
        from.into_iter().map(|(path, _)| path).collect()
    }

    /// Whether one of the files sets a key.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.tables().iter().any(|table| value_of(table, key).is_some())
    }

    /// Each file's keys by their names of today; none of a file that is not TOML.
    fn tables(&self) -> Vec<Table> {
        let table = |layer: &Layer| {
            let mut table = Table::new();
            merge(&mut table, toml::from_str(&layer.text).unwrap_or_default(), "", false);
            table
        };
        self.0.iter().map(table).collect()
    }

    /// All of them in one.
    fn merged(&self) -> Table {
        let mut merged = Table::new();
        for table in self.tables() {
            merge(&mut merged, table, "", false);
        }
        merged
    }

    /// A problem of the whole, placed in the last file that sets its key.
    fn place(&self, problem: &Problem) -> ConfigError {
        let names = aliases::aliases(&problem.key);
        let sets = |layer: &&Layer| span::of_value(&layer.text, &problem.key, names).is_some();
        let layer = self.0.iter().rfind(sets).or(self.0.first());
        let (path, text) = layer.map_or((Path::new(DEFAULT_PATH), ""), |layer| {
            (layer.path.as_path(), layer.text.as_str())
        });
        ConfigError::from_problem(path, text, problem)
    }
}

/// Every key with its default.
pub(super) fn defaults() -> Table {
    toml::from_str(&uncommented()).unwrap_or_default()
}

/// The example with every commented key in force.
pub(super) fn uncommented() -> String {
    let is_key =
        |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = ");
    let key = |line| str::strip_prefix(line, "#").filter(is_key).unwrap_or(line);
    EXAMPLE.lines().flat_map(|line| [key(line), "\n"]).collect()
}

/// Puts `over` over `base`. A list takes the place of one that is a default, and joins any other.
fn merge(base: &mut Table, over: Table, prefix: &str, over_defaults: bool) {
    for (name, value) in over {
        let name = canonical(prefix, name);
        match (base.get_mut(&name), value) {
            (Some(Value::Array(below)), Value::Array(above)) if !over_defaults => {
                below.extend(above);
            }
            (_, Value::Table(above)) => {
                let below = base.entry(&name).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(below) = below {
                    merge(below, above, &dotted(prefix, &name), over_defaults);
                }
            }
            (_, value) => {
                base.insert(name, value);
            }
        }
    }
}

/// The name of today of a key that may be written by another.
fn canonical(prefix: &str, name: String) -> String {
    let known = aliases::canonical(&dotted(prefix, &name));
    known.and_then(|key| key.rsplit('.').next()).map_or(name, str::to_owned)
}

fn dotted(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The value of a dotted key.
fn value_of<'t>(table: &'t Table, key: &str) -> Option<&'t Value> {
    match key.split_once('.') {
        Some((parent, rest)) => value_of(table.get(parent)?.as_table()?, rest),
        None => table.get(key),
    }
}

/// The drop-ins of the file, in the order of their names.
fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let directory = Layers::directory(Some(file));
    let failed = |source| ConfigError::Read { path: directory.clone(), source };
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error)
            if [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory]
                .contains(&error.kind()) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension() == Some(OsStr::new("toml")) && !is_hidden {
            paths.push(path);
        }
    }
    if paths.len() > MAX_DROP_INS {
        return Err(ConfigError::TooMany { path: directory, limit: MAX_DROP_INS });
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(ConfigError::TooLarge { path: path.to_owned(), size, limit: MAX_FILE });
    }
    std::fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::Mode;

    /// A directory with these files.
    fn files(files: &[(&str, &str)]) -> TempDir {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("conf.d")).unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn layers(directory: &TempDir) -> Layers {
        Layers::read(Some(&directory.path().join("sipward.toml"))).unwrap()
    }

    #[test]
    fn later_files_replace_values_and_add_to_lists() {
        let directory = files(&[
            (
                "sipward.toml",
                "mode = \"ban\"\nignoreip = [\"192.0.2.1\"]\n[policy]\nmaxretry = 3\n",
            ),
            ("conf.d/20-allow.toml", "allow = [\"192.0.2.2\"]\n[policy]\nwindow = \"1h\"\n"),
            ("conf.d/10-mode.toml", "mode = \"observe\"\n[policy]\nmax_failures = 4\n"),
            ("conf.d/.hidden.toml", "nonsense"),
            ("conf.d/notes.txt", "nonsense"),
        ]);
        let config = layers(&directory).config().unwrap();
        assert_eq!((config.mode, config.policy.max_failures), (Mode::Observe, 4));
        assert_eq!(config.policy.window.as_secs(), 3_600);
        let allow: Vec<String> = config.allow.iter().map(ToString::to_string).collect();
        assert_eq!(allow, ["192.0.2.1/32", "192.0.2.2/32"]);
        let keys: Vec<&str> = config.policy_keys.iter().map(String::as_str).collect();
        assert_eq!(keys, ["max_failures", "window"]);
    }

    #[test]
    fn an_error_names_the_file_that_causes_it() {
        for (name, text, words) in [
            ("conf.d/a.toml", "mod = 1\n", "a.toml:1:1: unknown key `mod`"),
            ("conf.d/a.toml", "[policy]\nmax_failures = 0\n", "a.toml:2:16: `policy.max_failures`"),
            ("conf.d/a.toml", "[policy]\nwindow = \"8d\"\n", "a.toml:2:10: "),
            ("sipward.toml", "dns_refresh = \"1s\"\n", "sipward.toml:1:15: `dns_refresh`"),
        ] {
            let directory = files(&[("sipward.toml", ""), (name, text)]);
            let error = layers(&directory).config().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn all_that_is_wrong_in_several_files_is_found() {
        let directory = files(&[
            ("sipward.toml", "mode = \"bann\"\n"),
            ("conf.d/a.toml", "x = 1\n[policy]\nmax_failures = 7\n"),
            ("conf.d/b.toml", "dns_refresh = \"1s\"\n"),
        ]);
        let (config, errors) = Config::survey(Some(&directory.path().join("sipward.toml")));
        let places: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 3, "{places:?}");
        assert_eq!(config.unwrap().policy.max_failures, 7);
    }

    #[test]
    fn the_effective_values_say_where_they_come_from() {
        let directory = files(&[
            ("sipward.toml", "allow = [\"192.0.2.1\"]\nallow_acl = [\"lan\"]\n"),
            ("conf.d/a.toml", "allow = [\"192.0.2.2\"]\n[policy]\nmaxretry = 4\n"),
        ]);
        let layers = layers(&directory);
        let text = layers.effective();
        let line = |key: &str| {
            let start = format!("{key} = ");
            text.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{text}"))
        };
        assert!(line("allow").contains("sipward.toml, ") && line("allow").ends_with("a.toml"));
        assert!(line("allow").contains("\"192.0.2.1\", \"192.0.2.2\""), "{}", line("allow"));
        assert!(
            line("allow_acl").starts_with("allow_acl = [\"lan\"]  # "),
            "{}",
            line("allow_acl")
        );
        assert!(line("max_failures").starts_with("max_failures = 4  # "));
        assert!(line("mode").ends_with("# default"));
        let again = Layers::single(&text, Path::new("x")).config().unwrap();
        let expected = layers.config().unwrap();
        assert_eq!(Config { policy_keys: expected.policy_keys.clone(), ..again }, expected);
    }

    #[test]
    fn a_named_file_must_be_there_and_the_drop_ins_are_bounded() {
        let directory = files(&[]);
        let missing = Layers::read(Some(&directory.path().join("sipward.toml"))).unwrap_err();
        assert!(missing.to_string().contains("sipward.toml"), "{missing}");
        fs::write(directory.path().join("sipward.toml"), "").unwrap();
        for n in 0..=MAX_DROP_INS {
            fs::write(directory.path().join(format!("conf.d/{n}.toml")), "").unwrap();
        }
        let many = Layers::read(Some(&directory.path().join("sipward.toml"))).unwrap_err();
        assert!(many.to_string().contains("more than 64"), "{many}");
    }
}

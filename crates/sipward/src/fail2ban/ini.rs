//! The INI dialect of fail2ban (`jail.conf(5)`, section "Configuration files format"; below it
//! Python's `configparser`).

use std::collections::BTreeMap;

use super::Notes;

/// The section that all others fall back to.
const DEFAULT: &str = "DEFAULT";

/// Levels of `%(…)s` inside `%(…)s` (Python's `MAX_INTERPOLATION_DEPTH`).
const MAX_DEPTH: usize = 10;

/// Longest value after interpolation in bytes: a few lines that double each other stay harmless.
const MAX_VALUE: usize = 64 * 1024;

/// Sections, keys of a section: what a directory full of jails has a tenth of.
const MAX_SECTIONS: usize = 4_096;
const MAX_KEYS: usize = 4_096;

/// Files merged one over the other: the last value counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ini {
    /// In the order in which they first appeared.
    names: Vec<String>,
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// A line that is neither section, key, continuation nor comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// From 1.
    pub(super) number: usize,
}

impl Ini {
    /// Reads one file's text. Lines that make no sense are skipped and returned.
    pub(super) fn parse(text: &str) -> (Self, Vec<BadLine>) {
        let mut ini = Self::default();
        let mut bad = Vec::new();
        let mut section: Option<String> = None;
        let mut open: Option<OpenKey> = None;
        for (index, line) in text.lines().enumerate() {
            let content = without_comment(line);
            let indent = line.chars().take_while(|c| c.is_whitespace()).count();
            if content.is_empty() {
                continue;
            }
            if let Some(key) = open.as_mut().filter(|key| indent > key.indent) {
                key.extend(content);
                continue;
            }
            if let (Some(section), Some(key)) = (&section, open.take()) {
                ini.set(section, key.name, key.value);
            }
            if let Some(name) = content.strip_prefix('[').and_then(|c| c.split(']').next()) {
                ini.add_section(name);
                section = Some(name.to_owned());
            } else if let (Some(_), Some((name, value))) =
                (&section, content.split_once(['=', ':']))
                && !name.trim().is_empty()
            {
                let (name, value) = (name.trim().to_lowercase(), value.trim().to_owned());
                open = Some(OpenKey { name, value, indent });
            } else {
                bad.push(BadLine { number: index + 1 });
            }
        }
        if let (Some(section), Some(key)) = (section, open) {
            ini.set(&section, key.name, key.value);
        }
        (ini, bad)
    }

    /// Lays `over` over this. `%(known/KEY)s` in it means what stood here before.
    pub(super) fn merge(&mut self, over: Self) {
        for name in over.names {
            self.add_section(&name);
            for (key, value) in over.sections.get(&name).into_iter().flatten() {
                let value = self.with_known(&name, value);
                self.set(&name, key.clone(), value);
            }
        }
    }

    /// All sections but the default one, in the order in which they first appeared.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| *name != DEFAULT)
    }

    pub(super) fn has_section(&self, name: &str) -> bool {
        self.sections.contains_key(name)
    }

    /// The value of a key with every `%(…)s` replaced; `None` when neither the section nor the default
    /// one has it, an error text when a replacement cannot be made.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<Result<String, String>> {
        let raw = self.raw(section, key)?;
        let mut out = String::new();
        let done = self.interpolate(section, raw, 0, &mut out);
        Some(done.map(|()| out).map_err(|error| format!("[{section}] {key}: {error}")))
    }

    fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let of = |name| self.sections.get(name).and_then(|keys| keys.get(key));
        of(section).or_else(|| of(DEFAULT)).map(String::as_str)
    }

    fn interpolate(
        &self,
        section: &str,
        raw: &str,
        depth: usize,
        out: &mut String,
    ) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("values refer to each other more than {MAX_DEPTH} deep"));
        }
        let mut rest = raw;
        while let Some((before, behind)) = rest.split_once('%') {
            push(out, before)?;
            if let Some(behind) = behind.strip_prefix('%') {
                push(out, "%")?;
                rest = behind;
                continue;
            }
            let reference = behind.strip_prefix('(').and_then(|b| b.split_once(")s"));
            let Some((name, behind)) = reference else {
                return Err("a `%` that is neither `%%` nor `%(name)s`".to_owned());
            };
            self.refer(section, name, depth, out)?;
            rest = behind;
        }
        push(out, rest)
    }

    /// Replaces `%(name)s`: a key of this section, `section/key`, or the section's name.
    fn refer(
        &self,
        section: &str,
        name: &str,
        depth: usize,
        out: &mut String,
    ) -> Result<(), String> {
        let key = name.to_lowercase();
        if key == "__name__" {
            return push(out, section);
        }
        if let Some(raw) = self.raw(section, &key) {
            return self.interpolate(section, raw, depth + 1, out);
        }
        if let Some((other, key)) = name.split_once('/') {
            let other = if other.eq_ignore_ascii_case(DEFAULT) { DEFAULT } else { other };
            if let Some(raw) = self.raw(other, &key.to_lowercase()) {
                // The text alone is the other section's: `%(port)s` in it is this section's, as in `action_` of
                // fail2ban's jail `freeswitch`, which begins with `%(default/action_)s`.
                return self.interpolate(section, raw, depth + 1, out);
            }
        }
        Err(format!("`%({})s` is not set", name.escape_debug()))
    }

    fn with_known(&self, section: &str, value: &str) -> String {
        let mut out = String::new();
        let mut rest = value;
        while let Some((before, behind)) = rest.split_once("%(known/") {
            let Some((key, behind)) = behind.split_once(")s") else {
                break;
            };
            let before_this = self.raw(section, &key.to_lowercase()).unwrap_or_default();
            if out.len() + before.len() + before_this.len() > MAX_VALUE {
                break;
            }
            out.push_str(before);
            out.push_str(before_this);
            rest = behind;
        }
        out.push_str(rest);
        out
    }

    fn add_section(&mut self, name: &str) {
        if !self.sections.contains_key(name) && self.sections.len() < MAX_SECTIONS {
            self.sections.insert(name.to_owned(), BTreeMap::new());
            self.names.push(name.to_owned());
        }
    }

    fn set(&mut self, section: &str, key: String, value: String) {
        if let Some(keys) = self.sections.get_mut(section)
            && (keys.len() < MAX_KEYS || keys.contains_key(&key))
        {
            keys.insert(key, value);
        }
    }
}

/// The value of a key; what is wrong with it becomes a note.
pub(super) fn text(files: &Ini, section: &str, key: &str, notes: &mut Notes) -> Option<String> {
    match files.value(section, key)? {
        Ok(value) => Some(value),
        Err(error) => {
            notes.add(error);
            None
        }
    }
}

/// As Python and fail2ban read a switch.
pub(super) fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "on" | "true" | "yes")
}

/// A key whose value may go on in the next line.
struct OpenKey {
    name: String,
    value: String,
    indent: usize,
}

impl OpenKey {
    fn extend(&mut self, line: &str) {
        if self.value.len() + line.len() < MAX_VALUE {
            self.value.push('\n');
            self.value.push_str(line);
        }
    }
}

/// The line without surrounding space and comments: `#` and `;` at its start, ` ;` anywhere.
fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return "";
    }
    let inline = line
        .match_indices(';')
        .map(|(at, _)| at)
        .find(|at| line.get(..*at).is_some_and(|before| before.ends_with(char::is_whitespace)));
    inline.and_then(|at| line.get(..at)).unwrap_or(line).trim_end()
}

fn push(out: &mut String, text: &str) -> Result<(), String> {
    if out.len() + text.len() > MAX_VALUE {
        return Err(format!("it is longer than {MAX_VALUE} bytes"));
    }
    out.push_str(text);
    Ok(())
}

#[cfg(test)]
mod tests;

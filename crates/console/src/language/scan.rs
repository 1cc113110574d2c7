//! Finds the texts of the sources: those that are translated, and those that should be.

use std::collections::{BTreeMap, BTreeSet};

use super::{Message, Part, parts};

/// A text that is translated, with the names of the values that it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) has_forms: bool,
    /// `None` where the source does not name them beside the text.
    pub(super) names: Option<BTreeSet<String>>,
}

/// Texts by their English.
pub(super) type Texts = BTreeMap<String, Used>;

/// A part of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

/// The texts that a source file translates.
pub(super) fn used(source: &str) -> Texts {
    let tokens = tokens(source);
    let mut found = Texts::new();
    for (place, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let is_defined = place > 0 && tokens[place - 1] == Token::Word("fn".to_owned());
        let is_macro = tokens.get(place + 1) == Some(&Token::Mark('!'));
        let open = place + 1 + usize::from(is_macro);
        if is_defined || tokens.get(open) != Some(&Token::Mark('(')) {
            continue;
        }
        let call = call(&tokens[open..]);
        let (texts, names) = (call.texts, Some(call.names));
        match (word.as_str(), is_macro, texts.as_slice()) {
            ("t" | "en", false, [text]) => {
                note(&mut found, text, false, None);
            }
            ("t" | "text", true, [text, ..]) => {
                note(&mut found, text, false, names);
            }
            ("tn", true, [one, _, ..]) => {
                // The number may be said by another value.
                let number = names_of(one).contains("n").then(|| "n".to_owned());
                let names = names.map(|names| names.into_iter().chain(number).collect());
                note(&mut found, one, true, names);
            }
            ("count" | "noun", false, [noun]) => {
                note(&mut found, noun, true, None);
            }
            _ => {}
        }
    }
    found
}

/// Adds a text. A noun with plural forms may also be used alone, in its first form.
pub(super) fn note(
    texts: &mut Texts,
    english: &str,
    has_forms: bool,
    names: Option<BTreeSet<String>>,
) {
    let used = texts.entry(english.to_owned()).or_insert(Used { has_forms, names: None });
    used.has_forms |= has_forms;
    used.names = names.or(used.names.take());
}

/// The texts between the brackets of a call, outside of inner ones, and the names before `=`.
struct Call {
    texts: Vec<String>,
    names: BTreeSet<String>,
}

fn call(tokens: &[Token]) -> Call {
    let mut call = Call { texts: Vec::new(), names: BTreeSet::new() };
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            Token::Text(text) if depth == 1 => call.texts.push(text.clone()),
            Token::Word(name)
                if depth == 1
                    && tokens[place - 1] == Token::Mark(',')
                    && tokens.get(place + 1) == Some(&Token::Mark('=')) =>
            {
                call.names.insert(name.clone());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    call
}

/// What is wrong with the messages of a language that has so many plural forms.
pub(super) fn faults(used: &Texts, file: &str, forms: usize) -> Vec<String> {
    let messages: BTreeMap<String, Message> = match toml::from_str(file) {
        Ok(messages) => messages,
        Err(error) => return vec![error.to_string()],
    };
    let mut faults = Vec::new();
    for (english, used) in used {
        if let Some(given) = &used.names
            && *given != names_of(english)
        {
            faults.push(format!("{english:?} has other placeholders than values: {given:?}"));
        }
        match messages.get(english) {
            None => faults.push(format!("{english:?} is missing")),
            Some(Message::Text(_)) if used.has_forms => {
                faults.push(format!("{english:?} needs {forms} forms"));
            }
            Some(Message::Forms(_)) if !used.has_forms => {
                faults.push(format!("{english:?} has no forms"));
            }
            Some(Message::Forms(all)) if all.len() != forms => {
                faults.push(format!("{english:?} has {} forms, not {forms}", all.len()));
            }
            Some(Message::Forms(all)) => {
                // The form for one may say the number in a word.
                let wrong = all.iter().any(|form| !names_of(form).is_subset(&names_of(english)));
                if wrong || all.last().is_some_and(|form| names_of(form) != names_of(english)) {
                    faults.push(format!("{english:?} has other placeholders"));
                }
            }
            Some(Message::Text(text)) => {
                if names_of(text) != names_of(english) {
                    faults.push(format!("{english:?} has other placeholders"));
                }
            }
        }
    }
    for (english, message) in &messages {
        if !used.contains_key(english) {
            faults.push(format!("{english:?} is not used any more"));
        }
        let is_empty = match message {
            Message::Text(text) => text.is_empty(),
            Message::Forms(all) => all.iter().any(String::is_empty),
        };
        if is_empty {
            faults.push(format!("{english:?} is empty"));
        }
    }
    faults
}

fn names_of(text: &str) -> BTreeSet<String> {
    let names = parts(text).filter_map(|part| match part {
        Part::Name(name) => Some(name.to_owned()),
        Part::Text(_) => None,
    });
    names.collect()
}

/// Elements whose text is not translated: commands, keys, names of settings.
const AS_THEY_ARE: [&str; 3] = ["code", "kbd", "pre"];

/// Attributes that people read.
const READ: [&str; 5] = ["label", "title", "placeholder", "alt", "summary"];

/// The texts in the templates of a source file that should be translated and are not.
pub(super) fn untranslated(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    // The open brackets; `true` for those around text of a template.
    let mut open: Vec<bool> = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        let before = |back: usize| place.checked_sub(back).map(|place| &tokens[place]);
        match token {
            Token::Mark('{') => {
                let is_template = before(1) == Some(&Token::Mark('!'))
                    && before(2) == Some(&Token::Word("html".to_owned()));
                let inside = open.last() == Some(&true)
                    && before(1) != Some(&Token::Mark('='))
                    && !is_as_it_is(&tokens[..place]);
                open.push(is_template || inside);
            }
            Token::Mark('(' | '[') => open.push(false),
            Token::Mark(')' | ']' | '}') => {
                open.pop();
            }
            Token::Text(text) if open.last() == Some(&true) && is_prose(text) => {
                let attribute = match (before(1), before(2)) {
                    (Some(Token::Mark('=')), Some(Token::Word(name))) => Some(name.as_str()),
                    _ => None,
                };
                if attribute.is_none_or(|name| READ.contains(&name)) {
                    found.push(text.clone());
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether the element that opens behind these tokens holds no prose: `code {`, `kbd.x {`.
fn is_as_it_is(before: &[Token]) -> bool {
    let mut place = before.len();
    while let Some(last) = place.checked_sub(1) {
        place = match &before[last] {
            Token::Word(word) if AS_THEY_ARE.contains(&word.as_str()) => return true,
            Token::Mark('{' | '}' | ';') => return false,
            // The value of an attribute.
            Token::Mark(')') | Token::Text(_) => match opening(&before[..=last]).checked_sub(1) {
                Some(equals) if before[equals] == Token::Mark('=') => equals,
                _ => return false,
            },
            _ => last,
        };
    }
    false
}

/// Where the last of the tokens begins: a bracket at the one that opens it.
fn opening(tokens: &[Token]) -> usize {
    let mut depth = 0;
    let open = tokens.iter().rposition(|token| {
        match token {
            Token::Mark(')') => depth += 1,
            Token::Mark('(') => depth -= 1,
            _ => {}
        }
        depth == 0
    });
    open.unwrap_or(0)
}

/// Names that are the same in each language.
const NAMES: [&str; 5] = ["sipward", "API", "AS", "UTC", "whois"];

/// Whether a text has a word.
fn is_prose(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    words.filter(|word| word.len() > 1).any(|word| !NAMES.contains(&word))
}

/// The tokens of a source file up to its tests, without comments.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = without_tests(source);
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            let (text, after) = raw.split_once("\"#").unwrap_or((raw, ""));
            tokens.push(Token::Text(text.to_owned()));
            rest = after;
        } else if first == '"' {
            let (text, after) = literal(&rest[1..]);
            tokens.push(Token::Text(text));
            rest = after;
        } else if let Some(after) = character(rest) {
            rest = after;
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Mark(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

fn without_tests(source: &str) -> &str {
    let end = source.match_indices("#[cfg(test)]").find(|(place, _)| {
        let item = source[*place..].lines().nth(1).unwrap_or_default();
        item.contains("mod ") && item.contains('{')
    });
    end.map_or(source, |(place, _)| &source[..place])
}

/// A character such as `'"'` or `'\u{e9}'`; a lifetime is none.
fn character(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix('\'')?;
    let mut characters = inner.chars();
    if characters.next()? == '\\' {
        let end = inner[2..].find('\'')? + 2;
        return Some(&inner[end + 1..]);
    }
    characters.as_str().strip_prefix('\'')
}

/// The text of a literal whose first quote was read, and what follows it.
fn literal(source: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = source.chars();
    while let Some(character) = rest.next() {
        match character {
            '"' => break,
            '\\' => match rest.next() {
                Some('\n') => rest = rest.as_str().trim_start().chars(),
                Some('n') => text.push('\n'),
                Some('u') => {
                    let (code, after) = rest.as_str().split_once('}').unwrap_or_default();
                    let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                    text.extend(code.ok().and_then(char::from_u32));
                    rest = after.chars();
                }
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    (text, rest.as_str())
}

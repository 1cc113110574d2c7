//! The language of the pages: messages by their English text, plural forms, numbers.
//!
//! The English text in the source is the key. `messages/TAG.toml` has the same texts in another language. A new
//! language is such a file and a line in [`LANGUAGES`]; a test names each text that is missing, no longer used, or
//! has other placeholders.
//!
//! | in the source | gives |
//! |---|---|
//! | `t("Unban")` | the text |
//! | `t!("Answer of {server}", server = plain(name))` | markup; what is put in is rendered, so it may be markup |
//! | `text!("{net} banned", net = net)` | a string |
//! | `tn!(number, "{n} is registered", "{n} are registered")` | markup, in the form for the number |
//! | `noun(number, "ban")` | `ban`, `bans` |
//! | `en("Bans")` | the English text, in a constant; `t` translates it where it is shown |
//!
//! The language is that of the request whose task runs, see [`request`]. Outside of requests it is English.

mod macros;
mod request;
#[cfg(test)]
mod scan;
#[cfg(test)]
pub(super) mod tests;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::OnceLock;

use maud::{Markup, PreEscaped, Render};
use serde::Deserialize;

pub(super) use macros::{t, text, tn};
pub(super) use request::{form, in_language};
use sipward_model::text::{Thousands, plural};

/// The languages, English first. Behind the tag (BCP 47) and the name: what parts thousands and decimals, the plural
/// forms, and the messages.
static LANGUAGES: [Language; 2] = [
    Language::new("en", "English", ",.", ONE_AND_OTHER, ""),
    Language::new("de", "Deutsch", ".,", ONE_AND_OTHER, include_str!("../messages/de.toml")),
];

/// Plural forms of most Germanic and Romance languages: one for 1, one for the others.
const ONE_AND_OTHER: Plural = |number| usize::from(number != 1);

/// Which of the forms goes with a number.
type Plural = fn(u64) -> usize;

/// A language of the pages.
pub(super) struct Language {
    tag: &'static str,
    name: &'static str,
    /// What parts thousands, and what stands before decimals.
    marks: &'static str,
    plural: Plural,
    file: &'static str,
    messages: OnceLock<Messages>,
}

/// The texts of a language by the English ones.
type Messages = HashMap<String, Message>;

/// A text, or its plural forms.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Forms(Vec<String>),
}

impl Language {
    const fn new(
        tag: &'static str,
        name: &'static str,
        marks: &'static str,
        plural: Plural,
        file: &'static str,
    ) -> Self {
        Self { tag, name, marks, plural, file, messages: OnceLock::new() }
    }

    fn english() -> &'static Self {
        let [english, ..] = &LANGUAGES;
        english
    }

    fn is_english(&self) -> bool {
        self.file.is_empty()
    }

    fn parse(tag: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.tag.eq_ignore_ascii_case(tag))
    }

    /// `None` for English. A test holds that the files can be read.
    fn messages(&self) -> Option<&Messages> {
        let read = || toml::from_str(self.file).unwrap_or_default();
        (!self.is_english()).then(|| self.messages.get_or_init(read))
    }

    /// The message for an English text. A test holds that there is one for each.
    fn message(&self, english: &str) -> Option<&Message> {
        let message = self.messages()?.get(english);
        #[cfg(test)]
        if message.is_none() {
            tests::missed(english);
        }
        message
    }
}

tokio::task_local! {
    static CURRENT: &'static Language;
}

/// The language of the request, or English.
pub(super) fn current() -> &'static Language {
    CURRENT.try_with(|language| *language).unwrap_or_else(|_| Language::english())
}

/// Runs something in a language.
pub(super) fn within<T>(language: &'static Language, run: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(language, run)
}

/// The tag of the language of the request, for `lang`.
pub(super) fn tag() -> &'static str {
    current().tag
}

/// Whether the page is English.
pub(super) fn is_english() -> bool {
    current().is_english()
}

/// `en` for a text that stays English, where the page has another language.
pub(super) fn english() -> Option<&'static str> {
    (!is_english()).then_some("en")
}

/// A text of the source in the language of the request.
pub(super) fn t(english: &'static str) -> &'static str {
    match current().message(english) {
        Some(Message::Text(text)) => text,
        Some(Message::Forms(forms)) => forms.first().map_or(english, String::as_str),
        None => english,
    }
}

/// A text of another part of the program, if it is one that the source of the console has too.
pub(super) fn known(english: &str) -> Option<&'static str> {
    match current().messages()?.get(english)? {
        Message::Text(text) => Some(text),
        Message::Forms(_) => None,
    }
}

/// Marks a text in a constant for translation; [`t()`] shows it.
pub(super) const fn en(english: &'static str) -> &'static str {
    english
}

/// The form of a sentence that goes with a number. The message is under the form for one.
pub(super) fn form_of(number: u64, one: &'static str, other: &'static str) -> &'static str {
    translated(number, one).unwrap_or(if number == 1 { one } else { other })
}

/// The form of a noun that goes with a number: `ban`, `bans`.
pub(super) fn noun(number: u64, one: &'static str) -> String {
    translated(number, one).map_or_else(|| plural(number, one), str::to_owned)
}

fn translated(number: u64, one: &'static str) -> Option<&'static str> {
    let language = current();
    match language.message(one)? {
        Message::Forms(forms) => Some(forms.get((language.plural)(number))?),
        Message::Text(_) => None,
    }
}

/// `12,345`.
pub(super) fn number(number: u64) -> String {
    localised(&Thousands(number).to_string())
}

/// `0.75`, with so many digits.
pub(super) fn decimal(number: f64, digits: usize) -> String {
    localised(&format!("{number:.digits$}"))
}

/// A number in the language of the request.
fn localised(number: &str) -> String {
    let marks = current().marks;
    let mark = |place| marks.chars().nth(place).unwrap_or(' ');
    let local = |character| match character {
        ',' => mark(0),
        '.' => mark(1),
        other => other,
    };
    number.chars().map(local).collect()
}

/// A text with values in place of `{names}`, as markup.
pub(super) fn filled(text: &str, values: &[(&str, &dyn Render)]) -> Markup {
    let mut buffer = String::new();
    for part in parts(text) {
        match part {
            Part::Text(text) => text.render_to(&mut buffer),
            Part::Name(name) => {
                let value = values.iter().find(|(known, _)| *known == name);
                value.inspect(|(_, value)| value.render_to(&mut buffer));
            }
        }
    }
    PreEscaped(buffer)
}

/// A text with values in place of `{names}`, as a string.
pub(super) fn written(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let part = |part| match part {
        Part::Text(text) => text.to_owned(),
        Part::Name(name) => {
            let value = values.iter().find(|(known, _)| *known == name);
            value.map(|(_, value)| value.to_string()).unwrap_or_default()
        }
    };
    parts(text).map(part).collect()
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// The parts of a text: the first has no name before it.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    text.split('{')
        .enumerate()
        .flat_map(|(place, part)| match part.split_once('}') {
            Some((name, rest)) if place > 0 => [Some(Part::Name(name)), Some(Part::Text(rest))],
            _ => [Some(Part::Text(part)), None],
        })
        .flatten()
}

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use maud::html;

use super::scan::{Texts, Used, faults, note, untranslated, used};
use super::*;

thread_local! {
    /// English texts that a language lacked on this thread.
    static MISSED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

pub(super) fn missed(english: &str) {
    MISSED.with_borrow_mut(|missed| missed.insert(english.to_owned()));
}

/// What a language lacks for something that is rendered.
pub(crate) fn missing(render: impl FnOnce()) -> BTreeSet<String> {
    MISSED.take();
    render();
    MISSED.take()
}

pub(crate) fn german<T>(run: impl FnOnce() -> T) -> T {
    within(Language::parse("de").unwrap(), run)
}

/// The sources of the console: file and text.
fn sources() -> Vec<(String, String)> {
    fn add(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    add(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    // This module explains itself with examples.
    found.retain(|(path, _)| !path.contains("/language/scan"));
    found
}

#[test]
fn every_language_has_every_text_and_no_other() {
    let mut texts = Texts::new();
    for (_, source) in sources() {
        for (text, Used { has_forms, names }) in used(&source) {
            note(&mut texts, &text, has_forms, names);
        }
    }
    assert!(texts.len() > 10, "{texts:?}");
    for language in LANGUAGES.iter().filter(|language| !language.is_english()) {
        let forms = (0..200).map(language.plural).max().unwrap() + 1;
        let faults = faults(&texts, language.file, forms);
        assert!(faults.is_empty(), "messages/{}.toml:\n{}", language.tag, faults.join("\n"));
    }
}

#[test]
fn no_template_has_a_text_that_is_not_translated() {
    let mut found = Vec::new();
    for (path, source) in sources() {
        found.extend(untranslated(&source).into_iter().map(|text| format!("{path}: {text:?}")));
    }
    assert!(found.is_empty(), "put into t(\"…\"):\n{}", found.join("\n"));
}

/// A source with one text of each kind.
const PLANTED: &str = r#"
    // t("in a comment")
    const PLACES: [&str; 1] = [en("Bans")];
    fn show(quote: char, lifetime: &'static str) {
        let _ = ('"', '\'', t("Un\"ban"), t(dynamic), labels::count(n, "ban"));
        t!("of {server}: {inner}", server = name("x"), inner = t("inner"));
        tn!(call(n, ")"), "{n} host is", "{n} hosts are", net = net);
        items.iter().count();
    }
    #[cfg(test)]
    mod tests { fn f() { t("in a test") } }
"#;

#[test]
fn the_texts_of_a_source_are_found() {
    let texts = used(PLANTED);
    let found: Vec<&str> = texts.keys().map(String::as_str).collect();
    assert_eq!(found, ["Bans", "Un\"ban", "ban", "inner", "of {server}: {inner}", "{n} host is"]);
    let names = texts["of {server}: {inner}"].names.clone().unwrap();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["inner", "server"]);
    assert!(texts["ban"].has_forms && texts["{n} host is"].has_forms && !texts["Bans"].has_forms);
}

#[test]
fn what_a_file_lacks_or_has_too_much_is_named() {
    let texts =
        used("t(\"A\"); t!(\"B {x}\", x = 1); noun(n, \"c\"); t!(\"D {x}\", y = 1); t(\"E\");");
    let file = "\"B {x}\" = \"B {y}\"\nc = [\"c\"]\n\"D {x}\" = \"{x}\"\nE = \"\"\nF = \"F\"\n";
    assert_eq!(
        faults(&texts, file, 2),
        [
            "\"A\" is missing",
            "\"B {x}\" has other placeholders",
            "\"D {x}\" has other placeholders than values: {\"y\"}",
            "\"c\" has 1 forms, not 2",
            "\"E\" is empty",
            "\"F\" is not used any more",
        ]
    );
    let good =
        "A = \"a\"\n\"B {x}\" = \"{x} b\"\nc = [\"c\", \"cc\"]\n\"D {x}\" = \"{x}\"\nE = \"e\"\n";
    assert_eq!(faults(&texts, good, 2).len(), 1);
    assert!(faults(&texts, "no file", 2)[0].contains("TOML"));
}

#[test]
fn a_text_that_is_not_translated_is_found_in_a_template_only() {
    let source = r#"
        const KIND: &str = "text/html and more";
        html! {
            p.soft { "Plain" (t("translated")) " · " code { "sipward token" } pre title=(t("y")) { "[geo]" } }
            @if fields.text("q") == Some("x y") { span class={ "pill " (kind) } { (name) " more" } }
            @match state { State::Open => "open", State::Shut => span class="bad" { (t("shut")) } }
            input type="text" aria-label="Label" name="net" title=(t("fine"));
        }
    "#;
    assert_eq!(untranslated(source), ["Plain", " more", "open", "Label"]);
}

#[test]
fn values_are_put_in_and_escaped_and_markup_is_kept() {
    let bold = html! { b { "x" } };
    let values: [(&str, &dyn maud::Render); 2] = [("one", &"<i>"), ("two", &bold)];
    let shown = filled("a & {two}, {one}{three}.", &values).into_string();
    assert_eq!(shown, "a &amp; <b>x</b>, &lt;i&gt;.");
    assert_eq!(written("{n} of {n} <", &[("n", &7)]), "7 of 7 <");
    assert_eq!(written("no} name {", &[]), "no} name ");
}

#[test]
fn numbers_and_plurals_are_those_of_the_language() {
    assert_eq!((number(12_345), decimal(0.75, 1)), ("12,345".to_owned(), "0.8".to_owned()));
    german(|| {
        assert_eq!((number(12_345), decimal(0.75, 2)), ("12.345".to_owned(), "0,75".to_owned()));
    });
    assert_eq!([0, 1, 2].map(|n| noun(n, "address")), ["addresses", "address", "addresses"]);
    assert_eq!([0, 1, 2].map(|n| form_of(n, "one", "other")), ["other", "one", "other"]);
    assert_eq!(german(|| [0, 1, 2].map(|n| noun(n, "ban"))), ["Sperren", "Sperre", "Sperren"]);
}

#[test]
fn a_text_without_a_translation_stays_english_and_is_missed() {
    let missing = missing(|| german(|| assert_eq!(t("no such text"), "no such text")));
    assert!(missing.contains("no such text"));
}

//! The HTML document around every page.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::labels::Shown;
use super::language::{self, t};
use super::theme::Theme;

/// A page without a session: the log-in and errors.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    let body = html! { main #main tabindex="-1" { (body) } };
    document(title, &html! {}, &body, None, Theme::System)
}

/// A whole page: title, navigation, body, and the foot of pages with a session.
pub(super) fn document(
    title: &str,
    head: &Markup,
    body: &Markup,
    foot: Option<&Markup>,
    theme: Theme,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language::tag()) data-theme=[theme.forced()] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Shown(sipward_model::text::Plain(title))) " · sipward" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON.path);
                link rel="stylesheet" href=(assets::STYLE.path);
                // The script needs a session.
                @if foot.is_some() { script type="module" src=(assets::SCRIPT.path) {} }
            }
            body data-words=[foot.map(|_| script_words())] {
                a.skip href="#main" { (t("Skip to content")) }
                header.top {
                    a.brand href="/" {
                        img src=(assets::ICON.path) alt="" width="24" height="24";
                        "sipward"
                    }
                    (head)
                }
                (body)
                @if let Some(foot) = foot { footer { (foot) } }
            }
        }
    }
}

/// The texts of the script, as JSON: the script's name of each, and the text.
fn script_words() -> String {
    let words = [
        ("live", t("Live")),
        ("polling", t("Every 15 s")),
        ("silent", t("No answer since {time}")),
        ("stopped", t("Paused at {time}")),
        ("pause", t("Pause")),
        ("resume", t("Resume")),
        ("many", t("{bans} banned, {unbans} unbanned; last: {last}")),
        ("added", t("{count} new")),
        ("gone", t("{count} ended")),
        ("show", t("{changes} – show")),
        ("selected", t("Unban selected")),
        ("unban", t("Unban {count}")),
        ("keysOff", t("Switch shortcuts off")),
        ("keysOn", t("Switch shortcuts on")),
    ];
    let words = words.map(|(name, text)| (name.to_owned(), text.into()));
    serde_json::Map::from_iter(words).into_iter().collect::<serde_json::Value>().to_string()
}

//! The HTML document around every page.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::labels::Shown;
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
        html lang="en" data-theme=[theme.forced()] {
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
            body {
                a.skip href="#main" { "Skip to content" }
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

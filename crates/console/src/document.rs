//! The HTML document around every page.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::labels::Shown;

/// A page without a session: the log-in and errors.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    document(title, &html! {}, &html! { main #main tabindex="-1" { (body) } }, None)
}

/// A whole page: title, navigation, body.
pub(super) fn document(title: &str, head: &Markup, body: &Markup, version: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (Shown(sipward_model::text::Plain(title))) " · sipward" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON.path);
                link rel="stylesheet" href=(assets::STYLE.path);
                // The script needs a session.
                @if version.is_some() { script type="module" src=(assets::SCRIPT.path) {} }
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
                @if let Some(version) = version {
                    footer {
                        p {
                            "sipward " (version) " · " a href="/api/v1/openapi.json" { "API" } " · "
                            a href="/metrics" { "Metrics" }
                        }
                    }
                }
            }
        }
    }
}

//! The choice of light or dark, kept in a cookie.

use axum::http::HeaderMap;
use maud::{Markup, html};

use super::cookies;
use super::language::t;

const COOKIE: &str = "sipward-theme";

/// The colours of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system is set.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::System => t("system"),
            Self::Light => t("light"),
            Self::Dark => t("dark"),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    /// The choice of a client; other values of the cookie count as none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        cookies::value(headers, COOKIE).and_then(Self::parse).unwrap_or_default()
    }

    /// The value of `Set-Cookie` that keeps the choice.
    pub(super) fn cookie(self) -> String {
        let keep = if self == Self::System { cookies::ended } else { cookies::kept };
        keep(COOKIE, self.as_str())
    }

    /// What the style sheet is to use instead of the system's setting.
    pub(super) fn forced(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }
}

/// The buttons that choose.
pub(super) fn form(chosen: Theme, here: &str) -> Markup {
    html! {
        form.theme method="post" action="/theme" {
            input type="hidden" name="back" value=(here);
            fieldset {
                legend { (t("Theme")) }
                @for theme in Theme::ALL {
                    button.quiet name="theme" value=(theme.as_str())
                        aria-pressed=(if theme == chosen { "true" } else { "false" }) {
                        (theme.title())
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn the_cookie_chooses_the_theme_and_anything_else_is_the_systems() {
        let of = |cookies: &'static str| {
            Theme::of(&HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(cookies))]))
        };
        assert_eq!(of("sipward=x; sipward-theme=dark"), Theme::Dark);
        assert_eq!(of("sipward-theme=light").forced(), Some("light"));
        for other in ["sipward-theme=\"><b>", "sipward=x", "xsipward-theme=dark"] {
            assert_eq!(of(other).forced(), None, "{other}");
        }
    }
}

//! The choice of light or dark, kept in a cookie.

use axum::http::{HeaderMap, header};
use maud::{Markup, html};

const COOKIE: &str = "sipward-theme";

/// A year, which is as long as browsers keep a cookie.
const LIFE: u32 = 31_536_000;

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

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    /// The choice of a client; other values of the cookie count as none.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        cookie(headers, COOKIE).and_then(Self::parse).unwrap_or_default()
    }

    /// The value of `Set-Cookie` that keeps the choice.
    pub(super) fn cookie(self) -> String {
        let life = if self == Self::System { 0 } else { LIFE };
        for_life(COOKIE, self.as_str(), life)
    }

    /// What the style sheet is to use instead of the system's setting.
    pub(super) fn forced(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim())
}

/// The value of `Set-Cookie` that keeps a choice.
pub(super) fn kept(name: &str, value: &str) -> String {
    for_life(name, value, LIFE)
}

fn for_life(name: &str, value: &str, life: u32) -> String {
    format!("{name}={value}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict")
}

/// The buttons that choose.
pub(super) fn form(chosen: Theme, here: &str) -> Markup {
    html! {
        form.theme method="post" action="/theme" {
            input type="hidden" name="back" value=(here);
            fieldset {
                legend { "Theme" }
                @for theme in Theme::ALL {
                    button.quiet name="theme" value=(theme.as_str())
                        aria-pressed=(if theme == chosen { "true" } else { "false" }) {
                        (theme.as_str())
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

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

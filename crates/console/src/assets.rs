//! Style sheet, script, icon and map: part of the program, under names that change with their content, so that
//! browsers keep them for good.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;
use sha2::{Digest, Sha256};

/// Bytes of a hash that its name shows; it tells versions apart, nothing more.
const SHOWN: usize = 8;

/// Browsers may keep it for a year, which is the longest that they look at.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// One file.
pub(super) struct Asset {
    /// Where it is served.
    pub(super) path: String,
    kind: &'static str,
    pub(super) content: &'static str,
}

/// What the log-in page needs is under `/login/`, where nobody is asked who he is.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/login/console", "css", include_str!("assets/console.css")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/login/icon", "svg", include_str!("assets/icon.svg")));
pub(super) static WORLD: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/assets/world", "svg", include_str!("assets/world.svg")));
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("/assets/console", "js", include_str!("assets/console.js")));

impl Asset {
    fn new(stem: &str, extension: &str, content: &'static str) -> Self {
        let hash = Sha256::digest(content);
        let mut path = format!("{stem}-");
        for byte in hash.iter().take(SHOWN) {
            // Writing into a string cannot fail.
            let _ = write!(path, "{byte:02x}");
        }
        let _ = write!(path, ".{extension}");
        let kind = match extension {
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        Self { path, kind, content }
    }
}

pub(super) fn router() -> Router {
    let mut router = Router::new();
    for asset in [&STYLE, &ICON, &WORLD, &SCRIPT] {
        let asset: &'static Asset = asset;
        router = router.route(&asset.path, get(async || (headers(asset), asset.content)));
    }
    router
}

fn headers(asset: &Asset) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_GOOD)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_as_small_as_it_is_said_to_be() {
        assert!(SCRIPT.content.len() < 12 * 1024, "{} bytes", SCRIPT.content.len());
    }

    #[test]
    fn names_change_with_their_content() {
        let [one, other] =
            ["a {}", "b {}"].map(|css| Asset::new("/login/console", "css", css).path);
        assert!(one != other && one.starts_with("/login/console-"));
    }
}

//! The entries of `allow`: a host, or a table with its end and a comment.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::Problem;
use crate::{AllowNote, HostEntry};
use sipward_model::text::read_end;

/// Longest comment, in bytes, as at run time.
const MAX_COMMENT: usize = 500;

/// `"192.0.2.7"`, or `{ host = "192.0.2.7", until = "2026-12-01", comment = "…" }`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum AllowItem {
    Host(HostEntry),
    Table(AllowTable),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowTable {
    host: HostEntry,
    until: Option<String>,
    comment: Option<String>,
}

impl<'de> Deserialize<'de> for AllowItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = AllowItem;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a host, or a table { host = \"…\", until = \"2026-12-01\", comment = \"…\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AllowItem, E> {
        text.parse().map(AllowItem::Host).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<AllowItem, A::Error> {
        AllowTable::deserialize(de::value::MapAccessDeserializer::new(map)).map(AllowItem::Table)
    }
}

/// The hosts, and what is said of some of them.
pub(super) fn checked(items: Vec<AllowItem>) -> Result<(Vec<HostEntry>, Vec<AllowNote>), Problem> {
    let mut hosts = Vec::with_capacity(items.len());
    let mut notes = Vec::new();
    for item in items {
        let AllowTable { host, until, comment } = match item {
            AllowItem::Host(host) => {
                hosts.push(host);
                continue;
            }
            AllowItem::Table(table) => table,
        };
        let refused = |problem: String| Problem::new("allow", format!("{host}: {problem}"));
        if comment.as_ref().is_some_and(|comment| comment.len() > MAX_COMMENT) {
            return Err(refused(format!("the comment has more than {MAX_COMMENT} bytes")));
        }
        let until =
            until.map(|until| read_end(&until).map_err(|error| refused(format!("until: {error}"))));
        let until = until.transpose()?.map(|until| until.0);
        hosts.push(host.clone());
        notes.push(AllowNote { host, until, comment });
    }
    Ok((hosts, notes))
}

//! JSON events, rewritten into the plain form.

use std::fmt;

use bytes::Bytes;
use serde_core::de::{DeserializeSeed, Deserializer as _, MapAccess, SeqAccess, Visitor};

use crate::percent;

/// Rewrites a JSON event as plain text: one line a member in the same order, duplicates included; `_body`
/// as the body; an array as `ARRAY::a|:b`. Strings are taken as bytes: FreeSWITCH passes invalid UTF-8
/// through raw, and a sender that writes some must not hide the event.
pub(super) fn to_plain(json: &[u8]) -> Result<Bytes, serde_json::Error> {
    let mut rewrite = Rewrite { plain: Vec::with_capacity(json.len()), body: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    deserializer.deserialize_map(&mut rewrite)?;
    deserializer.end()?;
    let Rewrite { mut plain, body } = rewrite;
    plain.push(b'\n');
    plain.extend_from_slice(&body);
    Ok(plain.into())
}

struct Rewrite {
    plain: Vec<u8>,
    body: Vec<u8>,
}

impl<'de> Visitor<'de> for &mut Rewrite {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        while map.next_key_seed(Collect(&mut name))?.is_some() {
            map.next_value_seed(Collect(&mut value))?;
            if name == b"_body" {
                self.body.append(&mut value);
            } else {
                push_name(&name, &mut self.plain);
                self.plain.extend_from_slice(b": ");
                percent::encode_into(&value, &mut self.plain);
                self.plain.push(b'\n');
            }
            name.clear();
            value.clear();
        }
        Ok(())
    }
}

/// A name must not end its line or its own field; no name of FreeSWITCH holds these bytes.
fn push_name(name: &[u8], plain: &mut Vec<u8>) {
    plain.extend(name.iter().map(|&byte| match byte {
        b':' | b'\r' | b'\n' | 0 => b'_',
        _ => byte,
    }));
}

/// Appends one string, or an array of strings in FreeSWITCH's own notation.
struct Collect<'v>(&'v mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: serde_core::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        // Asking for bytes, not for a string, is what accepts invalid UTF-8.
        from.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_bytes<E: serde_core::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<(), S::Error> {
        self.0.extend_from_slice(b"ARRAY::");
        let mut element = Vec::new();
        let mut separator: &[u8] = b"";
        while seq.next_element_seed(Collect(&mut element))?.is_some() {
            self.0.extend_from_slice(separator);
            self.0.append(&mut element);
            separator = b"|:";
        }
        Ok(())
    }
}

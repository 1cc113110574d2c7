//! What a client subscribed to.

use std::collections::BTreeSet;

use super::Frame;

/// The event format of a connection (`event plain`, `event json`, `event xml`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Percent-encoded header lines.
    Plain,
    /// One JSON object.
    Json,
    /// One XML document.
    Xml,
}

impl Format {
    /// As FreeSWITCH writes it in its reply and in `Content-Type: text/event-…`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }
}

/// The events that a connection gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Format of its events.
    pub format: Format,
    /// Names before `CUSTOM`, in upper case; `ALL` stands for every event.
    pub names: BTreeSet<String>,
    /// Words after `CUSTOM`. Without any of them no custom event comes.
    pub subclasses: BTreeSet<String>,
}

impl Subscription {
    /// Reads the words after `event`; `None` where FreeSWITCH answers `-ERR no keywords supplied`.
    #[must_use]
    pub fn parse(arguments: &str) -> Option<Self> {
        let mut words = arguments.split_whitespace();
        let format = match words.next()?.to_ascii_lowercase().as_str() {
            "plain" => Format::Plain,
            "json" => Format::Json,
            "xml" => Format::Xml,
            _ => return None,
        };
        let mut names = BTreeSet::new();
        let mut subclasses = BTreeSet::new();
        let mut custom = false;
        for word in words {
            if custom {
                subclasses.insert(word.to_owned());
            } else if word.eq_ignore_ascii_case("CUSTOM") {
                custom = true;
            } else {
                names.insert(word.to_ascii_uppercase());
            }
        }
        (custom || !names.is_empty()).then_some(Self { format, names, subclasses })
    }

    /// Whether FreeSWITCH would send this event to the client.
    ///
    /// JSON and XML events are judged by their format alone.
    #[must_use]
    pub fn wants(&self, event: &Frame) -> bool {
        if event.content_type().strip_prefix("text/event-") != Some(self.format.name()) {
            return false;
        }
        if self.format != Format::Plain || self.names.contains("ALL") {
            return true;
        }
        match event.decoded("Event-Subclass") {
            Some(subclass) => self.subclasses.contains(&subclass),
            None => event.decoded("Event-Name").is_some_and(|name| self.names.contains(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Subscription};
    use crate::fake_freeswitch::Recording;

    #[test]
    fn every_word_after_custom_is_a_subclass() {
        let asked = Subscription::parse("plain CUSTOM sofia::register_failure HEARTBEAT").unwrap();

        assert!(asked.names.is_empty(), "a HEARTBEAT behind CUSTOM is no HEARTBEAT");
        assert!(asked.subclasses.contains("HEARTBEAT"));
        assert_eq!(asked.format, Format::Plain);
    }

    #[test]
    fn refuses_what_freeswitch_refuses() {
        for arguments in ["", "plain", "json", "html ALL"] {
            assert_eq!(Subscription::parse(arguments), None, "event {arguments}");
        }
    }

    #[test]
    fn bare_custom_gets_no_sofia_event_and_all_gets_every_one() {
        let recording = Recording::load("scenarios/01a-register-wrongpw-udp4.plain").unwrap();
        let bare = Subscription::parse("plain CUSTOM").unwrap();
        let all = Subscription::parse("plain all").unwrap();
        let one = Subscription::parse("plain HEARTBEAT custom sofia::register_failure").unwrap();
        let json = Subscription::parse("json ALL").unwrap();

        let counts = [&bare, &all, &one, &json]
            .map(|asked| recording.events().filter(|event| asked.wants(event)).count());

        assert_eq!(counts, [0, 3, 1, 0]);
    }
}

//! `sofia xmlstatus` and `sofia xmlstatus profile NAME`: where FreeSWITCH listens for SIP, and how much it takes.

use super::uri::{Target, Transport};
use super::xml::{Step, walk};
use super::{MAX_TEXT, beginning};

/// The question that names the profiles.
pub const QUESTION: &str = "sofia xmlstatus";

/// Profiles looked at, at most: each is one question.
pub const MAX_PROFILES: usize = 64;

/// A running profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The sockets that it is bound to.
    pub binds: Vec<Bind>,
    /// `max-recv-rps`: requests a second above which FreeSWITCH drops all. 1000 by default; `None` on a FreeSWITCH
    /// that does not report it.
    pub max_rps: Option<u32>,
}

/// A socket of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bind {
    /// What is spoken there.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

/// The names of the profiles that run, sorted, and how many found no room. A name that is no word cannot be asked
/// about, and counts as left out.
///
/// # Errors
/// When the answer is no list of profiles.
pub fn running(text: &str) -> Result<(Vec<String>, usize), String> {
    let mut names: Vec<String> = Vec::new();
    let mut left_out = 0;
    let mut any = false;
    let mut fields = Fields::default();
    walk(text, |step| match step {
        Step::Open(tag) => match tag.name().as_ref() {
            "profiles" => any = true,
            "profile" => fields = Fields::default(),
            name => fields.open(name),
        },
        Step::Text(piece) => fields.text(piece),
        Step::Close("profile") => {
            let name = fields.get("name").to_owned();
            let runs = fields.get("state").starts_with("RUNNING");
            if runs && !names.contains(&name) {
                if is_word(&name) && names.len() < MAX_PROFILES {
                    names.push(name);
                } else {
                    left_out += 1;
                }
            }
        }
        Step::Close(_) => fields.close(),
    })?;
    if !any {
        return Err(format!("no list of profiles: {}", beginning(text)));
    }
    names.sort_unstable();
    Ok((names, left_out))
}

/// Reads what FreeSWITCH says of one profile.
///
/// # Errors
/// When it knows no such profile.
pub fn profile(text: &str) -> Result<Profile, String> {
    let mut fields = Fields::default();
    let mut any = false;
    walk(text, |step| match step {
        Step::Open(tag) => match tag.name().as_ref() {
            "profile-info" => any = true,
            name => fields.open(name),
        },
        Step::Text(piece) => fields.text(piece),
        Step::Close(_) => fields.close(),
    })?;
    if !any {
        return Err(beginning(text));
    }
    let mut binds = Vec::new();
    for (field, transports) in [
        ("bind-url", &[Transport::Udp, Transport::Tcp][..]),
        ("tls-bind-url", &[Transport::Tls]),
        ("ws-bind-url", &[Transport::Ws]),
        ("wss-bind-url", &[Transport::Wss]),
    ] {
        let url = fields.get(field);
        let Some(port) = Target::read(url).and_then(|target| target.port) else { continue };
        let named = url.split(';').find_map(|part| part.trim().strip_prefix("transport="));
        for transport in transports {
            let bound = named.is_none_or(|named| {
                named.split(',').any(|word| Transport::read(word) == Some(*transport))
            });
            if bound {
                binds.push(Bind { transport: *transport, port });
            }
        }
    }
    let max_rps = fields.get("max-recv-rps").parse().ok();
    Ok(Profile { name: fields.get("name").to_owned(), binds, max_rps })
}

/// A name becomes a part of a command.
fn is_word(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The fields of one element that are of use.
#[derive(Default)]
struct Fields {
    values: [String; Self::NAMES.len()],
    open: Option<usize>,
}

impl Fields {
    const NAMES: [&str; 7] = [
        "name",
        "state",
        "bind-url",
        "tls-bind-url",
        "ws-bind-url",
        "wss-bind-url",
        "max-recv-rps",
    ];

    fn open(&mut self, name: &str) {
        self.open = Self::NAMES.iter().position(|known| *known == name);
    }

    fn close(&mut self) {
        self.open = None;
    }

    fn text(&mut self, piece: &str) {
        if let Some(value) = self.open.and_then(|index| self.values.get_mut(index))
            && value.len() + piece.len() <= MAX_TEXT
        {
            value.push_str(piece);
        }
    }

    fn get(&self, name: &str) -> &str {
        let index = Self::NAMES.iter().position(|known| *known == name);
        index.and_then(|index| self.values.get(index)).map_or("", |value| value.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeswitch::registrations::tests::recorded;

    fn binds(text: &str) -> Vec<(&'static str, u16)> {
        let profile = profile(text).unwrap();
        profile.binds.iter().map(|bind| (bind.transport.as_str(), bind.port)).collect()
    }

    #[test]
    fn the_recorded_profiles_are_read() {
        let (names, left_out) = running(&recorded("2-sofia-xmlstatus")).unwrap();
        assert_eq!(names, ["external", "internal", "internal-ipv6", "nomatch"]);
        assert_eq!(left_out, 0);
        let internal = recorded("2-sofia-xmlstatus-profile-internal");
        assert_eq!(
            binds(&internal),
            [("udp", 5060), ("tcp", 5060), ("tls", 5061), ("ws", 5066), ("wss", 7443)]
        );
        assert_eq!(profile(&internal).unwrap().max_rps, Some(1000));
        let six = recorded("2-sofia-xmlstatus-profile-internal-ipv6");
        assert_eq!(binds(&six), [("udp", 5060), ("tcp", 5060)]);
        assert_eq!(binds(&recorded("2-sofia-xmlstatus-profile-nomatch"))[0], ("udp", 5070));
        assert_eq!(binds(&recorded("2-sofia-xmlstatus-profile-external"))[0], ("udp", 5080));
        assert_eq!(
            profile(&recorded("2-sofia-xmlstatus-profile-unknown")),
            Err("Invalid Profile!".to_owned())
        );
    }

    #[test]
    fn a_profile_that_does_not_run_or_has_no_name_for_a_command_is_not_asked_about() {
        let row = |name: &str, state: &str| {
            format!(
                "<profile><name>{name}</name><type>profile</type><state>{state}</state></profile>"
            )
        };
        let text = format!(
            "<profiles>{}{}{}{}</profiles>",
            row("a", "RUNNING (0)"),
            row("b", "FAILED"),
            row("c d", "RUNNING (0)"),
            row("a", "RUNNING (0) (TLS)")
        );
        assert_eq!(running(&text), Ok((vec!["a".to_owned()], 1)));
        assert!(running("+OK\n").is_err());
        assert!(profile("+OK\n").is_err());
    }
}

//! `sofia.conf`, as FreeSWITCH prints it.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::text::Plain;

/// Profiles named at most.
const MAX_PROFILES: usize = 32;

/// The profiles whose `log-auth-failures` is on.
pub(super) fn profiles_with_log(xml: &str) -> Result<Vec<String>, String> {
    let mut reader = Reader::from_str(xml);
    // Values are written as they are configured, `&` included.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    let mut profile = None;
    let mut any = false;
    let mut found: Vec<String> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "profile" => {
                any = true;
                profile = attribute(tag, "name");
            }
            Event::Start(tag) | Event::Empty(tag)
                if tag.name().as_ref() == "param"
                    && attribute(tag, "name").as_deref() == Some("log-auth-failures") =>
            {
                let is_on = attribute(tag, "value").is_some_and(|value| is_true(&value));
                if let Some(profile) =
                    profile.as_ref().filter(|_| is_on && found.len() < MAX_PROFILES)
                {
                    found.push(Plain(profile).to_string());
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !any {
        let said = xml.lines().next().unwrap_or_default().chars().take(100).collect::<String>();
        return Err(format!("FreeSWITCH showed no profile: {}", Plain(&said)));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    Some(tag.try_get_attribute(name).ok()??.value.into_owned())
}

/// As FreeSWITCH reads a switch (`switch_utils.h`, `switch_true`).
fn is_true(value: &str) -> bool {
    let word = value.trim().to_ascii_lowercase();
    ["yes", "on", "true", "t", "enabled", "active", "allow"].contains(&word.as_str())
        || word.parse::<i64>().is_ok_and(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONF: &str = r#"<configuration name="sofia.conf"><global_settings>
        <param name="log-level" value="0"></param></global_settings><profiles>
        <profile name="internal"><gateways><gateway name="a&b"></gateway></gateways><settings>
        <param name="context" value="public"></param><param name="log-auth-failures" value="true"></param>
        </settings></profile>
        <profile name="external"><settings><param name="log-auth-failures" value="false"/></settings></profile>
        <profile name="external-ipv6"><settings></settings></profile></profiles></configuration>"#;

    #[test]
    fn the_profiles_that_log_are_named() {
        assert_eq!(profiles_with_log(CONF), Ok(vec!["internal".to_owned()]));
        assert_eq!(profiles_with_log(&CONF.replace("\"true\"", "\"false\"")), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_configuration_is_an_error() {
        for text in ["", "-ERR xml_locate Command not found!\n", "<configuration></configuration>"]
        {
            assert!(profiles_with_log(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|profile|param| name=\"[a-z&;-]{0,9}\"|log-auth-failures|value|\"|=|\\PC){0,40}") {
            let _ = profiles_with_log(&text);
        }
    }
}

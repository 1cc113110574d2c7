//! `autoload_configs/event_socket.conf.xml`: where the Event Socket listens, and its password.

use super::xml::{Step, attribute, walk};

/// Bytes of a value that is used.
const MAX_VALUE: usize = super::MAX_TEXT;

/// What is read of the file. Values are as written: `$${…}` stands for a variable of `vars.xml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSocketConf {
    /// `listen-ip`.
    pub listen_ip: Option<Param>,
    /// `listen-port`.
    pub listen_port: Option<Param>,
    /// `password`.
    pub password: Option<Param>,
    /// `apply-inbound-acl`: who may connect.
    pub acl: Option<Param>,
}

/// A parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Param {
    /// Its value.
    pub value: String,
    /// Its line in the file, from 1; 0 where that is unknown.
    pub line: usize,
}

impl std::fmt::Debug for Param {
    /// Without the value, which may be a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Param on line {}", self.line)
    }
}

impl EventSocketConf {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not XML, with the place and nothing of the text.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut conf = Self::default();
        walk(text, |step| {
            let Step::Open(tag) = step else { return };
            if tag.name().as_ref() != "param" {
                return;
            }
            let (Some(name), Some(value)) =
                (attribute(tag, "name", MAX_VALUE), attribute(tag, "value", MAX_VALUE))
            else {
                return;
            };
            let param = match name.as_str() {
                "listen-ip" => &mut conf.listen_ip,
                "listen-port" => &mut conf.listen_port,
                "password" => &mut conf.password,
                "apply-inbound-acl" => &mut conf.acl,
                _ => return,
            };
            *param = Some(Param { line: line_of(text, &name), value });
        })?;
        Ok(conf)
    }
}

/// The last line outside of comments that sets a parameter, as FreeSWITCH takes the last one.
fn line_of(text: &str, name: &str) -> usize {
    let wanted = [format!("name=\"{name}\""), format!("name='{name}'")];
    let mut found = 0;
    let mut in_comment = false;
    for (number, line) in text.lines().enumerate() {
        let mut rest = line;
        let mut outside = String::new();
        loop {
            let end = if in_comment { "-->" } else { "<!--" };
            let Some((before, behind)) = rest.split_once(end) else {
                if !in_comment {
                    outside.push_str(rest);
                }
                break;
            };
            if !in_comment {
                outside.push_str(before);
            }
            in_comment = !in_comment;
            rest = behind;
        }
        if wanted.iter().any(|wanted| outside.contains(wanted)) {
            found = number + 1;
        }
    }
    found
}

/// The values of `vars.xml`: `<X-PRE-PROCESS cmd="set" data="name=value"/>`, the last one of each name.
///
/// # Errors
/// As [`EventSocketConf::read`].
pub fn variable(vars: &str, wanted: &str) -> Result<Option<String>, String> {
    let mut found = None;
    walk(vars, |step| {
        let Step::Open(tag) = step else { return };
        if !tag.name().as_ref().eq_ignore_ascii_case("x-pre-process") {
            return;
        }
        let data = attribute(tag, "data", MAX_VALUE).unwrap_or_default();
        if let Some((name, value)) = data.split_once('=')
            && name == wanted
        {
            found = Some(value.to_owned());
        }
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VANILLA: &str = r#"<configuration name="event_socket.conf" description="Socket Client">
  <settings>
    <param name="nat-map" value="false"/>
    <param name="listen-ip" value="::"/>
    <!-- <param name="password" value="old"/> -->
    <param name="listen-port" value="8021"/>
    <param name="password" value="Clue&amp;Con"/>
    <!--
    <param name="password" value="older"/>
    <param name="apply-inbound-acl" value="loopback.auto"/> -->
  </settings>
</configuration>"#;

    #[test]
    fn the_values_and_their_lines_are_those_in_force() {
        let conf = EventSocketConf::read(VANILLA).unwrap();
        let password = conf.password.unwrap();
        assert_eq!((password.value.as_str(), password.line), ("Clue&Con", 7));
        assert_eq!(conf.listen_ip.unwrap().value, "::");
        assert_eq!(conf.listen_port.unwrap().value, "8021");
        assert_eq!(conf.acl, None, "it is in a comment");
    }

    #[test]
    fn a_variable_has_its_last_value() {
        let vars = r#"<include>
  <X-PRE-PROCESS cmd="set" data="default_password=1234"/>
  <x-pre-process cmd="set" data="esl=secret=1"/></include>"#;
        assert_eq!(variable(vars, "esl").unwrap().as_deref(), Some("secret=1"));
        assert_eq!(variable(vars, "default_password").unwrap().as_deref(), Some("1234"));
        assert_eq!(variable(vars, "nosuch").unwrap(), None);
    }

    #[test]
    fn no_error_and_no_debug_text_holds_a_password() {
        let error =
            EventSocketConf::read("<param name=\"password\" value=\"hush\"/><").unwrap_err();
        assert!(!error.contains("hush"), "{error}");
        let conf = EventSocketConf::read(VANILLA).unwrap();
        assert!(!format!("{conf:?}").contains("Clue"));
    }
}

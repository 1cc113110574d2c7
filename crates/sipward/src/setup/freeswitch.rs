//! FreeSWITCH's configuration on this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::doctor;
use sipward_config::credentials::CredentialsError;
use sipward_config::{Credentials, Secret};
use sipward_esl::client::ClientError;
use sipward_ingest::freeswitch::event_socket_conf::{EventSocketConf, Param, variable};

/// Directories of FreeSWITCH's configuration: Debian's and `FusionPBX`'s packages, then those of a build from source.
const DIRECTORIES: [&str; 5] = [
    "etc/freeswitch",
    "usr/local/freeswitch/conf",
    "usr/local/freeswitch/etc/freeswitch",
    "opt/freeswitch/conf",
    "opt/freeswitch/etc/freeswitch",
];

/// In such a directory.
const FILE: &str = "autoload_configs/event_socket.conf.xml";

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Longest wait for each step of a log-in.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who laid the files out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `FusionPBX`.
    FusionPbx,
    /// A package of a distribution or of `SignalWire`.
    Package,
    /// A build from source.
    Source,
}

impl Layout {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FusionPbx => "FusionPBX",
            Self::Package => "FreeSWITCH from a package",
            Self::Source => "FreeSWITCH from source",
        }
    }
}

/// A FreeSWITCH, as its files describe it.
#[derive(Clone, Debug)]
pub struct FreeSwitch {
    /// Who laid the files out.
    pub layout: Layout,
    /// `event_socket.conf.xml`.
    pub file: PathBuf,
    /// Where the Event Socket is reached from this host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its password, where that is known.
    pub password: Option<Secret>,
    /// The lines that decide about a refused connection.
    conf: EventSocketConf,
}

impl FreeSwitch {
    /// Looks below `root` for the files; with `directory` nowhere else.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn find(root: &Path, directory: Option<&Path>) -> Result<Option<Self>, String> {
        let places: Vec<PathBuf> = match directory {
            Some(directory) => vec![directory.to_owned()],
            None => DIRECTORIES.iter().map(|directory| root.join(directory)).collect(),
        };
        let Some(directory) = places.into_iter().find(|place| place.join(FILE).is_file()) else {
            return Ok(None);
        };
        let is_fusion = ["etc/fusionpbx/config.conf", "etc/fusionpbx/config.php"]
            .iter()
            .any(|file| root.join(file).is_file());
        let layout = match directory.strip_prefix(root) {
            _ if is_fusion => Layout::FusionPbx,
            Ok(below) if below == Path::new("etc/freeswitch") => Layout::Package,
            Ok(_) | Err(_) => Layout::Source,
        };
        let file = directory.join(FILE);
        let conf = EventSocketConf::read(&read(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let value = |param: &Option<Param>| param.as_ref().map(|param| resolved(&directory, param));
        let host = match value(&conf.listen_ip).transpose()?.as_deref().map(str::trim) {
            None | Some("0.0.0.0" | "::" | "") => "127.0.0.1".to_owned(),
            Some(listen) => listen.to_owned(),
        };
        let port = value(&conf.listen_port).transpose()?;
        let port = port.and_then(|port| port.trim().parse().ok()).unwrap_or(8_021);
        let password = value(&conf.password).transpose()?.or_else(|| of_fusionpbx(root));
        let password = password.map(Secret::new);
        Ok(Some(Self { layout, file, host, port, password, conf }))
    }

    /// As the daemon logs in.
    ///
    /// # Errors
    /// When no password is known, or address or password cannot be.
    pub fn credentials(&self) -> Result<Credentials, CredentialsError> {
        Credentials::from_lookup(|name| match name {
            "ESL_HOST" => Some(self.host.clone().into()),
            "ESL_PORT" => Some(self.port.to_string().into()),
            "ESL_PASSWORD" => self.password.as_ref().map(|password| password.expose().into()),
            _ => None,
        })
    }

    /// Logs in to the Event Socket.
    ///
    /// # Errors
    /// Why that fails, and which line to change.
    pub async fn try_login(&self, credentials: &Credentials) -> Result<(), String> {
        let tried = doctor::log_in(credentials, PATIENCE).await.map(drop);
        tried.map_err(|error| format!("{error}; {}", self.remedy(&error)))
    }

    fn remedy(&self, error: &ClientError) -> String {
        let conf = &self.conf;
        match error {
            ClientError::WrongPassword { .. } => format!(
                "FreeSWITCH has not loaded the password of {}: `fs_cli -x 'reload \
                 mod_event_socket'`, or correct that line",
                self.line(conf.password.as_ref())
            ),
            ClientError::AclRejected => format!(
                "allow 127.0.0.1 in the access list of {}, then `fs_cli -x 'reload \
                 mod_event_socket'`",
                self.line(conf.acl.as_ref())
            ),
            _ => format!(
                "is FreeSWITCH running, and mod_event_socket loaded? It listens where {} says",
                self.line(conf.listen_ip.as_ref().or(conf.listen_port.as_ref()))
            ),
        }
    }

    fn line(&self, param: Option<&Param>) -> String {
        match param {
            Some(Param { line: 1.., .. }) => {
                format!("{}:{}", self.file.display(), param.map_or(0, |param| param.line))
            }
            Some(_) | None => self.file.display().to_string(),
        }
    }
}

/// The value, with a variable of `vars.xml` in its place.
fn resolved(directory: &Path, param: &Param) -> Result<String, String> {
    let name = param.value.strip_prefix("$${").and_then(|rest| rest.strip_suffix('}'));
    let Some(name) = name else { return Ok(param.value.clone()) };
    let file = directory.join("vars.xml");
    let found =
        variable(&read(&file)?, name).map_err(|error| format!("{}: {error}", file.display()))?;
    found.ok_or_else(|| format!("{} sets no variable `{name}`", file.display()))
}

/// `switch.event_socket.password` of `FusionPBX`.
fn of_fusionpbx(root: &Path) -> Option<String> {
    let text = read(&root.join("etc/fusionpbx/config.conf")).ok()?;
    let value = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "switch.event_socket.password").then(|| value.trim().to_owned())
    };
    text.lines().find_map(value).filter(|password| !password.is_empty())
}

fn read(file: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    let size = fs::metadata(file).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(format!("{} has {size} bytes, more than {MAX_FILE}", file.display()));
    }
    let bytes = fs::read(file).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = TempDir::new().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        root
    }

    fn conf(params: &[(&str, &str)]) -> String {
        let params: Vec<String> = params
            .iter()
            .map(|(name, value)| format!("<param name=\"{name}\" value=\"{value}\"/>\n"))
            .collect();
        format!("<configuration>\n<settings>\n{}</settings>\n</configuration>\n", params.concat())
    }

    #[test]
    fn each_layout_is_found_with_its_password() {
        let plain = conf(&[("listen-ip", "::"), ("listen-port", "8022"), ("password", "a")]);
        for (file, layout) in [
            ("etc/freeswitch", Layout::Package),
            ("usr/local/freeswitch/conf", Layout::Source),
            ("opt/freeswitch/etc/freeswitch", Layout::Source),
        ] {
            let root = root(&[(&format!("{file}/{FILE}"), &plain)]);
            let found = FreeSwitch::find(root.path(), None).unwrap().unwrap();
            assert_eq!(
                (found.layout, found.host.as_str(), found.port),
                (layout, "127.0.0.1", 8022)
            );
            assert_eq!(found.password, Some(Secret::new("a")));
            let wrong = found.remedy(&ClientError::WrongPassword { user: None });
            assert!(wrong.contains("event_socket.conf.xml:5"), "{wrong}");
        }
        let root = root(&[]);
        assert!(FreeSwitch::find(root.path(), None).unwrap().is_none());
    }

    #[test]
    fn fusionpbx_names_the_password_where_freeswitch_does_not() {
        let xml = format!("etc/freeswitch/{FILE}");
        let without = conf(&[("listen-ip", "127.0.0.1")]);
        let fusion = "# a comment\nswitch.event_socket.password = p w\n";
        let root = root(&[(&xml, &without), ("etc/fusionpbx/config.conf", fusion)]);
        let found = FreeSwitch::find(root.path(), None).unwrap().unwrap();
        assert_eq!((found.layout, found.password), (Layout::FusionPbx, Some(Secret::new("p w"))));
    }

    #[test]
    fn a_variable_is_looked_up_and_a_missing_one_is_an_error() {
        let xml = format!("etc/freeswitch/{FILE}");
        let by_variable = conf(&[("password", "$${esl}")]);
        let vars = r#"<include><X-PRE-PROCESS cmd="set" data="esl=x"/></include>"#;
        let with = root(&[(&xml, &by_variable), ("etc/freeswitch/vars.xml", vars)]);
        let found = FreeSwitch::find(with.path(), None).unwrap().unwrap();
        assert_eq!(found.password, Some(Secret::new("x")));
        let without = root(&[(&xml, &by_variable), ("etc/freeswitch/vars.xml", "<include/>")]);
        let error = FreeSwitch::find(without.path(), None).unwrap_err();
        assert!(error.contains("`esl`"), "{error}");
    }
}

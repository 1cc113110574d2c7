//! What a fail2ban on this host has set up against SIP attackers, for `sipward import fail2ban`.
//!
//! Everything is read, nothing is written: the configuration in fail2ban's own order and by its own
//! rules, and its database, opened read-only. An invalid line is reported as a note; the rest is still imported.
//!
//! | module | holds |
//! |---|---|
//! | `ini` | sections, keys, continuation lines, `%(…)s` |
//! | `files` | which files, in which order, `[INCLUDES]` |
//! | `time` | `10m`, `1d 12h`, `-1` |
//! | `jail` | the jails that watch SIP, and their settings |
//! | `counts` | what a jail counts: failed log-ins, or something else |
//! | `escalation` | `bantime.increment` and its company |
//! | `reach` | what the actions of a jail stop: the host, or ports |
//! | `database` | who is banned now |
//! | `show` | the takeover as a `sipward.toml` |

mod counts;
mod database;
mod escalation;
mod files;
mod ini;
mod jail;
mod reach;
mod show;
mod time;

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use sipward_engine::{Scope, Timestamp};

pub use jail::Jail;
pub use show::to_toml;
use sipward_config::HostEntry;

/// Where Debian, RHEL and fail2ban's own installer put its configuration.
pub const DEFAULT_DIRECTORY: &str = "/etc/fail2ban";

/// Its `dbfile` unless `fail2ban.conf` says another.
pub const DEFAULT_DATABASE: &str = "/var/lib/fail2ban/fail2ban.sqlite3";

/// Notes kept at most: a directory full of broken files says no more in its thousandth line.
const MAX_NOTES: usize = 200;

/// The imported settings and bans.
#[derive(Clone, Debug, Default)]
pub struct Takeover {
    /// The jails it comes from; the numbers are those of the first that counts failed log-ins.
    pub jails: Vec<Jail>,
    /// `maxretry`, within sipward's range.
    pub max_failures: Option<u32>,
    /// `findtime` in seconds, within sipward's range.
    pub window_seconds: Option<u64>,
    /// `bantime` in seconds, within sipward's range.
    pub ban_time_seconds: Option<u64>,
    /// `escalation.factor`, within sipward's range.
    pub escalation_factor: Option<f64>,
    /// `escalation.max` in seconds, not below `ban_time_seconds`.
    pub escalation_max_seconds: Option<u64>,
    /// `rules.raw_address`, of a jail that counts registrations to an address in place of a domain.
    pub raw_address: Option<RawAddress>,
    /// What the bans of the first jail stop, by the ports of its action; `None` where no known action says it.
    pub scope: Option<Scope>,
    /// The setting that `scope` comes from, to be shown: `port = 5060,5061`.
    pub scope_by: Option<String>,
    /// `ignoreip` of all these jails, without what is always protected.
    pub allow: Vec<HostEntry>,
    /// Active bans, sorted by network, each once with its latest end.
    pub bans: Vec<StandingBan>,
    /// What could not be imported, or only with changes.
    pub notes: Vec<String>,
}

/// Numbers for `rules.raw_address`; `None` leaves sipward's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RawAddress {
    /// `maxretry`.
    pub threshold: Option<u32>,
    /// `findtime` in seconds.
    pub window_seconds: Option<u64>,
    /// `bantime` in seconds.
    pub ban_time_seconds: Option<u64>,
}

/// A ban of fail2ban that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingBan {
    /// The network.
    pub net: IpNet,
    /// Its end; `None` for a ban without one.
    pub until: Option<Timestamp>,
    /// The jail that made it.
    pub jail: String,
    /// What it stops, by the ports of the jail's action; `None` where no known action says it.
    pub scope: Option<Scope>,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// fail2ban's configuration.
    pub directory: &'a Path,
    /// Its database; `None` takes what `fail2ban.conf` says.
    pub database: Option<&'a Path>,
    /// The jails to take; none means those that watch SIP and are enabled.
    pub jails: &'a [String],
    /// The present moment: bans that have ended are left out.
    pub now: Timestamp,
}

/// Why nothing can be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// No configuration.
    #[error("no fail2ban configuration in {}: {reason}; --dir names another directory", .directory.display())]
    NoConfiguration {
        /// Where it was looked for.
        directory: PathBuf,
        /// What the system said, or what is missing.
        reason: String,
    },
    /// No jail fits.
    #[error("{0}")]
    NoJail(String),
    /// The database that was asked for cannot be read.
    #[error("cannot read the bans in {}: {reason}", .file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

/// Reads configuration and database.
///
/// # Errors
/// When there is no configuration, no jail that fits, or the database that `sources` names cannot be
/// read. A database that is only missing where it is expected is a note.
pub fn read(sources: &Sources<'_>) -> Result<Takeover, ImportError> {
    let mut notes = Notes::default();
    let jail_files = files::read(sources.directory, "jail", &mut notes)?;
    let mut takeover = match jail::choose(sources.directory, &jail_files, sources.jails, &mut notes)
    {
        Ok(jails) => jail::take_over(jails, &mut notes),
        Err(ImportError::NoJail(why)) if sources.jails.is_empty() => {
            // Who may never be banned is worth taking without any jail.
            let takeover = jail::default_ignored(&jail_files, &mut notes);
            if takeover.allow.is_empty() {
                return Err(ImportError::NoJail(why));
            }
            notes.add(format!("{why}; only ignoreip of [DEFAULT] is taken over"));
            takeover
        }
        Err(error) => return Err(error),
    };

    let (file, asked_for) = match sources.database {
        Some(file) => (Some(file.to_owned()), true),
        None => (database_file(sources.directory, &mut notes), false),
    };
    match file.map(|file| (database::bans(&file, &takeover.jails, sources.now, &mut notes), file)) {
        Some((Ok(bans), _)) => takeover.bans = bans,
        Some((Err(reason), file)) if asked_for => {
            return Err(ImportError::Database { file, reason });
        }
        Some((Err(reason), file)) => {
            notes.add(format!("no bans imported: {}: {reason}", file.display()));
        }
        None => notes.add("fail2ban has no database (dbfile), so no bans are imported".into()),
    }
    takeover.notes = notes.0;
    Ok(takeover)
}

/// The enabled jails that watch SIP, by name; none where there is no fail2ban.
#[must_use]
pub fn sip_jails(directory: &Path) -> Vec<String> {
    let mut notes = Notes::default();
    let files = files::read(directory, "jail", &mut notes);
    files.map(|files| jail::enabled_sip_jails(directory, &files)).unwrap_or_default()
}

/// `dbfile` of `fail2ban.conf`; `None` when it is switched off.
fn database_file(directory: &Path, notes: &mut Notes) -> Option<PathBuf> {
    let configured = files::read(directory, "fail2ban", notes).ok().and_then(|files| {
        let section = if files.has_section("Definition") { "Definition" } else { "DEFAULT" };
        files.value(section, "dbfile").and_then(Result::ok)
    });
    match configured.as_deref().map(str::trim) {
        Some("None" | ":memory:") => None,
        None | Some("") => Some(DEFAULT_DATABASE.into()),
        Some(file) => Some(file.into()),
    }
}

/// What an operator should know of the takeover.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, note: String) {
        if self.0.len() < MAX_NOTES && !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

#[cfg(test)]
mod tests;

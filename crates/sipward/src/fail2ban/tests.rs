use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use super::*;
use sipward_config::Config;

/// 2026-11-24 00:00:00 UTC.
const NOW: u64 = 1_795_478_400;

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

/// A directory with these files, and a database of today's layout.
struct Installation(TempDir);

impl Installation {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        for (name, text) in files {
            let file = directory.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        Self(directory)
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("fail2ban.sqlite3")
    }

    fn with_bans(self, bans: &[(&str, &str, u64, i64)]) -> Self {
        let database = Connection::open(self.database()).unwrap();
        let columns =
            "ip TEXT, jail TEXT, timeofban INTEGER, bantime INTEGER, bancount INTEGER, data JSON";
        database.execute_batch(&format!("CREATE TABLE bips({columns})")).unwrap();
        for (jail, ip, since, length) in bans {
            let row = params![ip, jail, i64::try_from(*since).unwrap(), length];
            database.execute("INSERT INTO bips VALUES(?1, ?2, ?3, ?4, 1, '{}')", row).unwrap();
        }
        self
    }

    fn read_jails(&self, jails: &[&str]) -> Result<Takeover, ImportError> {
        let jails: Vec<String> = jails.iter().map(|&jail| jail.to_owned()).collect();
        let database = self.database();
        let database = database.exists().then_some(database.as_path());
        read(&Sources { directory: self.0.path(), database, jails: &jails, now: now() })
    }

    fn read(&self) -> Takeover {
        self.read_jails(&[]).unwrap()
    }
}

const JAIL_CONF: &str = "\
[INCLUDES]
before = paths-test.conf

[DEFAULT]
ignorecommand =
bantime  = 10m
findtime  = 10m
maxretry = 5
enabled = false
mode = normal
filter = %(__name__)s[mode=%(mode)s]
ignoreip = 127.0.0.1/8 ::1

[sshd]
logpath = %(sshd_log)s

[freeswitch]
port = 5060,5061
logpath = /var/log/freeswitch.log
maxretry = 10
";

const PATHS: &str = "[DEFAULT]\nsshd_log = /var/log/auth.log\n";

fn debian(local: &str) -> Installation {
    Installation::new(&[
        ("jail.conf", JAIL_CONF),
        ("paths-test.conf", PATHS),
        ("jail.d/defaults-debian.conf", "[sshd]\nenabled = true\n"),
        ("jail.local", local),
    ])
}

#[test]
fn the_freeswitch_jail_of_a_debian_host_is_taken_over() {
    let local = "[DEFAULT]\nignoreip = %(known/ignoreip)s 192.0.2.0/24, office.example.org\n\
                 198.51.100.0/255.255.255.0\n[freeswitch]\nenabled = true\nbantime = 1d 12h\nfindtime = 3600\n";
    let local = local.replace("\n198", "\n  198");
    let takeover = debian(&local).read();
    assert_eq!(takeover.jails.len(), 1);
    assert_eq!(takeover.max_failures, Some(10));
    assert_eq!(takeover.window_seconds, Some(3_600));
    assert_eq!(takeover.ban_time_seconds, Some(129_600));
    let allow: Vec<String> = takeover.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["192.0.2.0/24", "office.example.org", "198.51.100.0/24"]);
}

#[test]
fn files_are_read_in_fail2bans_order() {
    let installation = Installation::new(&[
        ("jail.conf", "[freeswitch]\nenabled = true\nmaxretry = 1\nbantime = 1\nfindtime = 1\n"),
        ("jail.d/20.conf", "[freeswitch]\nmaxretry = 20\nbantime = 20\n"),
        ("jail.d/10.conf", "[freeswitch]\nmaxretry = 10\nfindtime = 10\n"),
        ("jail.local", "[freeswitch]\nbantime = 30\n"),
        ("jail.d/05.local", "[freeswitch]\nbantime = 40\n"),
        ("jail.d/99.txt", "[freeswitch]\nbantime = 99\n"),
    ]);
    let takeover = installation.read();
    assert_eq!(takeover.max_failures, Some(20));
    assert_eq!(takeover.window_seconds, Some(10));
    assert_eq!(takeover.ban_time_seconds, Some(40));
}

#[test]
fn jails_are_known_by_name_filter_or_log_file() {
    let installation = Installation::new(&[(
        "jail.local",
        "[DEFAULT]\nenabled = true\n[sshd]\n[gossip]\n[asterisk-iptables]\n[pbx]\nfilter = freeswitch[mode=extra]\n\
         [tele]\nlogpath = /usr/local/freeswitch/log/freeswitch.log\n[sip-auth-failure]\n",
    )]);
    let names: Vec<String> = installation.read().jails.into_iter().map(|jail| jail.name).collect();
    assert_eq!(names, ["asterisk-iptables", "pbx", "tele", "sip-auth-failure"]);
}

#[test]
fn the_named_jail_is_taken_even_when_it_is_switched_off() {
    let installation = debian("");
    let none = installation.read_jails(&[]).unwrap_err().to_string();
    assert!(none.contains("no enabled jail") && none.contains("(freeswitch)"), "{none}");
    assert_eq!(installation.read_jails(&["freeswitch"]).unwrap().max_failures, Some(10));
    let wrong = installation.read_jails(&["freeswich"]).unwrap_err().to_string();
    assert!(wrong.contains("no jail `freeswich`; fail2ban has sshd, freeswitch"), "{wrong}");
}

#[test]
fn only_bans_that_stand_are_taken_each_once_with_its_latest_end() {
    let installation = debian("[freeswitch]\nenabled = true\n[asterisk]\nenabled = true\n")
        .with_bans(&[
            ("freeswitch", "203.0.113.7", NOW - 100, 600),
            ("asterisk", "203.0.113.7", NOW - 100, 900),
            ("freeswitch", "203.0.113.8", NOW - 700, 600),
            ("freeswitch", "203.0.113.9", NOW - 700, -1),
            ("asterisk", "203.0.113.9", NOW - 10, 600),
            ("freeswitch", "2001:db8::7", NOW - 1, 600),
            ("freeswitch", "not an address\u{1b}[2J", NOW, 600),
            ("sshd", "203.0.113.66", NOW, 600),
        ]);
    let takeover = installation.read();
    let bans: Vec<(String, Option<u64>)> = takeover
        .bans
        .iter()
        .map(|ban| (ban.net.to_string(), ban.until.map(|until| until.as_micros() / 1_000_000)))
        .collect();
    assert_eq!(
        bans,
        [
            ("203.0.113.7/32".to_owned(), Some(NOW + 800)),
            ("203.0.113.9/32".to_owned(), None),
            ("2001:db8::7/128".to_owned(), Some(NOW + 599)),
        ]
    );
    assert!(
        takeover.notes.iter().any(|note| note.contains("is not an address")),
        "{:?}",
        takeover.notes
    );
}

#[test]
fn lengths_with_a_fraction_are_rounded_and_rows_without_a_time_are_named() {
    let installation = debian("[freeswitch]\nenabled = true\n").with_bans(&[]);
    let database = Connection::open(installation.database()).unwrap();
    for (ip, since, length) in [
        ("203.0.113.11", NOW.to_string(), "3600"),
        ("203.0.113.12", NOW.to_string(), "14634.966586097438"),
        ("203.0.113.13", format!("{}.5", NOW - 10), "'600'"),
        ("203.0.113.14", NOW.to_string(), "-1.0"),
        ("203.0.113.15", NOW.to_string(), "x'00'"),
        ("203.0.113.16", "'soon'".to_owned(), "600"),
    ] {
        let row =
            format!("INSERT INTO bips VALUES('{ip}', 'freeswitch', {since}, {length}, 1, '{{}}')");
        database.execute(&row, []).unwrap();
    }
    let takeover = installation.read();
    let ends: Vec<Option<u64>> = takeover
        .bans
        .iter()
        .map(|ban| ban.until.map(|until| until.as_micros() / 1_000_000 - NOW))
        .collect();
    assert_eq!(ends, [Some(3_600), Some(14_635), Some(591), None]);
    for address in ["203.0.113.15", "203.0.113.16"] {
        assert!(takeover.notes.iter().any(|note| note.contains(address)), "{:?}", takeover.notes);
    }
}

/// What FusionPBX's installer puts into `jail.local`, in its order, with `enabled` as it comes.
const FUSIONPBX: &str = "\
[ssh]\nenabled = true\nfilter = sshd\nlogpath = /var/log/auth.log\nmaxretry = 5\n
[freeswitch-acl]\nenabled = true\nfilter = freeswitch-acl\nmaxretry = 900\nfindtime = 60\nbantime = 86400\n
[freeswitch-ip]\nenabled = true\nfilter = freeswitch-ip\nmaxretry = 1\nfindtime = 30\nbantime = 86400\n
[sip-auth-challenge]\nenabled = true\nfilter = sip-auth-challenge\nmaxretry = 50\nfindtime = 30\nbantime = 7200\n
[sip-auth-failure]\nenabled = true\nfilter = sip-auth-failure\nmaxretry = 6\nfindtime = 60\nbantime = 7200.0\n
[fusionpbx-404]\nenabled = true\nfilter = fusionpbx-404\nlogpath = /var/log/freeswitch/freeswitch.log\nmaxretry = 3\n
[fusionpbx]\nenabled = true\nfilter = fusionpbx\nlogpath = /var/log/auth.log\nmaxretry = 10\n
[recidive]\nenabled = true\nlogpath = /var/log/fail2ban.log\nmaxretry = 2\n";

#[test]
fn of_fusionpbxs_jails_only_the_one_that_counts_failures_gives_the_numbers() {
    let takeover = Installation::new(&[("jail.local", FUSIONPBX)]).read();
    let numbers = (takeover.max_failures, takeover.window_seconds, takeover.ban_time_seconds);
    assert_eq!(numbers, (Some(6), Some(60), Some(7_200)));
    let raw =
        RawAddress { threshold: Some(1), window_seconds: Some(30), ban_time_seconds: Some(86_400) };
    assert_eq!(takeover.raw_address, Some(raw));
    for part in [
        "jail freeswitch-acl counts rejections by access control lists",
        "jail sip-auth-challenge counts challenges",
        "jail fusionpbx-404 counts calls",
        "jail recidive is left out",
        "do not watch SIP: ssh, fusionpbx;",
    ] {
        assert!(
            takeover.notes.iter().any(|note| note.contains(part)),
            "{part} in {:?}",
            takeover.notes
        );
    }
    let toml = to_toml(&takeover);
    let config = Config::parse(&toml, "x".as_ref()).unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert_eq!(config.policy.max_failures, 6);
    let rule = &config.policy.rules.raw_address;
    assert_eq!((rule.guard.mode, rule.threshold), (sipward_engine::Mode::Ban, 1));
}

#[test]
fn jails_that_count_something_else_leave_the_base_rule_as_it_is() {
    for filter in [
        "freeswitch-ip",
        "auth-challenge-ip",
        "freeswitch-acl",
        "sip-auth-challenge",
        "freeswitch[mode=ddos]",
    ] {
        let jail = format!(
            "[one]\nenabled = true\nfilter = {filter}\nmaxretry = 900\nfindtime = 60\nbantime = 1d\n"
        );
        let takeover = Installation::new(&[("jail.local", &jail)]).read();
        assert_eq!((takeover.max_failures, takeover.ban_time_seconds), (None, None), "{filter}");
        assert_eq!(takeover.raw_address.is_some(), filter.ends_with("-ip"), "{filter}");
    }
}

#[test]
fn the_numbers_of_an_unknown_filter_are_taken_when_its_jail_is_named() {
    let jail =
        "[pbx]\nenabled = true\nfilter = own\nlogpath = /var/log/freeswitch.log\nmaxretry = 4\n";
    let installation = Installation::new(&[("jail.local", jail)]);
    let takeover = installation.read();
    assert_eq!(takeover.max_failures, None);
    assert!(
        takeover.notes.iter().any(|note| note.contains("`--jail pbx` takes them")),
        "{:?}",
        takeover.notes
    );
    assert_eq!(installation.read_jails(&["pbx"]).unwrap().max_failures, Some(4));
}

#[test]
fn escalation_becomes_factor_and_longest_ban() {
    let jail = "[freeswitch]\nenabled = true\nbantime = 7d\nbantime.increment = true\nbantime.factor = 4\n\
                bantime.maxtime = 5w\n";
    let takeover = Installation::new(&[("jail.local", jail)]).read();
    let toml = to_toml(&takeover);
    let config = Config::parse(&toml, "x".as_ref()).unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert_eq!(config.policy.escalation.max.as_secs(), 35 * 86_400);
    assert!((config.policy.escalation.factor - 4.0).abs() < 0.01);
    let shorter = jail.replace("5w", "1d");
    let takeover = Installation::new(&[("jail.local", &shorter)]).read();
    assert_eq!(takeover.escalation_max_seconds, Some(7 * 86_400), "not below the first ban");
}

#[test]
fn ignoreip_of_default_is_taken_without_any_jail_and_words_are_no_names() {
    let local = "[DEFAULT]\nignoreip = 127.0.0.1/8 192.0.2.0/24 none office.example.org\n";
    let takeover = Installation::new(&[("jail.local", local)]).read();
    let allow: Vec<String> = takeover.allow.iter().map(ToString::to_string).collect();
    assert_eq!(allow, ["192.0.2.0/24", "office.example.org"]);
    assert!(
        takeover.notes.iter().any(|note| note.contains("`none` is a single word")),
        "{:?}",
        takeover.notes
    );
    assert!(Config::parse(&to_toml(&takeover), "x".as_ref()).is_ok());
}

#[test]
fn databases_of_before_0_11_are_read_with_the_jails_own_ban_time() {
    let installation = debian("[freeswitch]\nenabled = true\nbantime = 1h\n");
    let database = Connection::open(installation.database()).unwrap();
    database
        .execute_batch(&format!(
            "CREATE TABLE bans(jail TEXT, ip TEXT, timeofban INTEGER, data JSON);
             INSERT INTO bans VALUES('freeswitch', '203.0.113.7', {}, '{{}}');
             INSERT INTO bans VALUES('freeswitch', '203.0.113.7', {}, '{{}}');",
            NOW - 9_000,
            NOW - 600
        ))
        .unwrap();
    drop(database);
    let bans = installation.read().bans;
    assert_eq!(bans.len(), 1);
    assert_eq!(bans[0].until, Some(Timestamp::from_micros((NOW + 3_000) * 1_000_000)));
}

/// The part of fail2ban's own `jail.conf` that says what is banned.
const ACTIONS: &str = "\
[DEFAULT]
enabled = false
port = 0:65535
protocol = tcp
chain = INPUT
banaction = iptables-multiport
banaction_allports = iptables-allports
action_ = %(banaction)s[port=\"%(port)s\", protocol=\"%(protocol)s\", chain=\"%(chain)s\"]
action_mw = %(action_)s
            sendmail-whois[sender=\"root@localhost\", dest=\"root@localhost, noc@localhost\"]
action = %(action_)s

[freeswitch]
port = 5060,5061
action_ = %(default/action_)s[name=%(__name__)s-tcp, protocol=\"tcp\"]
          %(default/action_)s[name=%(__name__)s-udp, protocol=\"udp\"]
";

fn reach(local: &str) -> (Option<Scope>, Option<String>) {
    let files = [("jail.conf", ACTIONS), ("jail.local", local)];
    let takeover = Installation::new(&files).read_jails(&["freeswitch"]).unwrap();
    (takeover.scope, takeover.scope_by)
}

#[test]
fn the_ports_of_the_jail_are_scope_sip_and_all_ports_are_scope_host() {
    let by = |text: &str| Some(text.to_owned());
    assert_eq!(reach(""), (Some(Scope::Sip), by("port = 5060,5061")));
    let with_mails = reach("[freeswitch]\naction = %(action_mw)s\n");
    assert_eq!(with_mails, (Some(Scope::Sip), by("port = 5060,5061")));
    let nftables = reach("[DEFAULT]\nbanaction = nftables[type=multiport]\n");
    assert_eq!(nftables, (Some(Scope::Sip), by("port = 5060,5061")));
    let all = reach("[freeswitch]\nbanaction = %(banaction_allports)s\n");
    assert_eq!(all, (Some(Scope::Host), by("action iptables-allports")));
    let all = reach("[DEFAULT]\nbanaction = nftables[type=allports]\n");
    assert_eq!(all, (Some(Scope::Host), by("action nftables, allports")));
    let all = reach("[freeswitch]\nport = 0:65535\n");
    assert_eq!(all, (Some(Scope::Host), by("port = 0:65535")));
    let all = reach("[freeswitch]\nport = all\n");
    assert_eq!(all, (Some(Scope::Host), by("port = all")));
    let own = reach("[freeswitch]\naction = own-script[port=5060]\n");
    assert_eq!(own, (None, None));
}

#[test]
fn bans_that_stand_keep_the_scope_of_their_jail_and_the_wider_one_counts() {
    let local =
        "[freeswitch]\nenabled = true\n[asterisk]\nenabled = true\nbanaction = iptables-allports\n";
    let files = [("jail.conf", ACTIONS), ("jail.local", local)];
    let takeover = Installation::new(&files)
        .with_bans(&[
            ("freeswitch", "203.0.113.7", NOW - 100, 900),
            ("asterisk", "203.0.113.7", NOW - 100, 600),
            ("freeswitch", "203.0.113.8", NOW - 100, 600),
            ("asterisk", "203.0.113.9", NOW - 100, 600),
        ])
        .read();
    let scopes: Vec<Option<Scope>> = takeover.bans.iter().map(|ban| ban.scope).collect();
    assert_eq!(scopes, [Some(Scope::Host), Some(Scope::Sip), Some(Scope::Host)]);
    assert_eq!(takeover.scope, Some(Scope::Sip));
    let different = "jail asterisk blocks the whole host, and freeswitch blocks some ports";
    assert!(takeover.notes.iter().any(|note| note.contains(different)), "{:?}", takeover.notes);
    let toml = to_toml(&takeover);
    let config = Config::parse(&toml, "x".as_ref()).unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert_eq!(config.policy.scope, Scope::Sip);
    for part in ["scope = \"sip\" # port = 5060,5061\n", "203.0.113.8/32 from the SIP ports until"]
    {
        assert!(toml.contains(part), "{part} in {toml}");
    }
}

#[test]
fn nothing_is_written_into_fail2bans_files() {
    let installation = debian("[freeswitch]\nenabled = true\n").with_bans(&[]);
    let before = fs::read(installation.database()).unwrap();
    installation.read();
    assert_eq!(fs::read(installation.database()).unwrap(), before);
    assert_eq!(fs::read_dir(installation.0.path()).unwrap().count(), 5);
}

#[test]
fn a_file_that_is_no_database_is_an_error_when_it_was_asked_for() {
    let installation = debian("[freeswitch]\nenabled = true\n");
    fs::write(installation.database(), "certainly no database, but long enough to look at")
        .unwrap();
    let error = installation.read_jails(&[]).unwrap_err().to_string();
    assert!(error.contains("cannot read the bans in"), "{error}");
}

#[test]
fn a_missing_configuration_is_told_with_its_place() {
    let empty = TempDir::new().unwrap();
    let sources = Sources { directory: empty.path(), database: None, jails: &[], now: now() };
    let error = read(&sources).unwrap_err().to_string();
    assert!(error.contains("neither jail.conf nor jail.local"), "{error}");
}

#[test]
fn what_is_printed_is_a_configuration_that_sipward_takes() {
    let local = "[freeswitch]\nenabled = true\nmaxretry = 5000\nfindtime = 30d\nbantime = -1\n\
                 ignoreip = 192.0.2.1 office.example.org file:/etc/x not/ok\n";
    let installation = debian(local).with_bans(&[("freeswitch", "203.0.113.9", NOW, -1)]);
    let takeover = installation.read();
    let toml = to_toml(&takeover);
    let config =
        Config::parse(&toml, "taken-over.toml".as_ref()).unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert_eq!(config.policy.max_failures, 1_000);
    assert_eq!(config.policy.window.as_secs(), 7 * 86_400);
    assert_eq!(config.policy.ban_time.as_secs(), 365 * 86_400);
    assert_eq!(config.allow.len(), 2);
    for part in
        ["# Active bans: 1.\n", "203.0.113.9/32 permanent (jail freeswitch)", "names a file"]
    {
        assert!(toml.contains(part), "{part} in {toml}");
    }
}

proptest! {
    #[test]
    fn no_configuration_makes_it_panic_or_print_what_sipward_refuses(
        lines in prop::collection::vec(
            "(ignoreip|bantime|findtime|maxretry|filter|logpath|enabled|bantime.increment|bantime.factor|bantime.maxtime|bantime.multipliers|port|action|banaction) = ((?:iptables|route|nftables)\\[port=\\PC{0,12}|-?[0-9]{0,20}[a-z]{0,3}|true|\\PC{0,12}|[0-9a-f.:/, ]{0,20}|%\\([a-z/]{0,9}\\)s)",
            0..12,
        ),
    ) {
        let text = format!("[freeswitch]\nenabled = true\n{}\n", lines.join("\n"));
        let installation = Installation::new(&[("jail.local", &text)]);
        let jails = ["freeswitch".to_owned()];
        let sources = Sources { directory: installation.0.path(), database: None, jails: &jails, now: now() };
        if let Ok(takeover) = read(&sources) {
            let toml = to_toml(&takeover);
            prop_assert!(Config::parse(&toml, "x".as_ref()).is_ok(), "{}", toml);
        }
    }
}

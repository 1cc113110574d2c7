use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::StoreLocation;
use crate::layers::uncommented;

fn parse(source: &str) -> Result<Config, String> {
    Config::parse(source, Path::new("sipward.toml")).map_err(|e| e.to_string())
}

fn refused(source: &str) -> String {
    parse(source).expect_err("must be refused")
}

const EXAMPLE: &str = include_str!("../../../deploy/sipward.toml");

/// Dotted names of all keys of a tree.
fn keys(prefix: &str, value: &serde_json::Value, into: &mut BTreeSet<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_object() {
            keys(&key, value, into);
        } else {
            into.insert(key);
        }
    }
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let mut known = BTreeSet::new();
    keys("", &serde_json::to_value(file::File::default()).unwrap(), &mut known);
    let example: toml::Table = toml::from_str(&uncommented()).unwrap();
    let mut shown = BTreeSet::new();
    keys("", &serde_json::to_value(example).unwrap(), &mut shown);
    assert_eq!(shown, known);
    assert!(known.len() > 20, "the walk found only {known:?}");
}

#[test]
fn the_example_shows_the_defaults() {
    let meaning = |source: &str| {
        parse(source).map(|config| Config { policy_keys: BTreeSet::new(), ..config })
    };
    assert_eq!(meaning(&uncommented()), meaning(""));
    assert_eq!(meaning(EXAMPLE), meaning(""));
}

#[test]
fn what_the_file_sets_is_told_from_defaults() {
    let config = parse("[policy]\nmaxretry = 5\n[policy.rules.users]\nthreshold = 10\n").unwrap();
    assert_eq!(
        config.policy_keys,
        ["max_failures", "rules.users.threshold"].map(str::to_owned).into()
    );
    assert_eq!(parse("").unwrap().policy_keys, BTreeSet::new());
}

#[test]
fn the_socket_of_the_api_can_be_moved_or_left_out() {
    let socket = |source: &str| parse(source).map(|config| config.api.socket);
    assert_eq!(socket(""), Ok(Some("/run/sipward/sipward.sock".into())));
    assert_eq!(socket("[api]\nsocket = \"/tmp/s\"\n"), Ok(Some("/tmp/s".into())));
    assert_eq!(socket("[api]\nsocket = \"\"\n"), Ok(None));
    assert!(refused("[api]\nsocket = \"sipward.sock\"\n").contains("absolute path"));
    let long = format!("[api]\nsocket = \"/{}\"\n", "x".repeat(107));
    assert!(refused(&long).contains("108 bytes"), "{}", refused(&long));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_known_one() {
    let error = refused("mode = \"ban\"\n[policy]\nmax_failure = 3\n");
    assert_eq!(
        error,
        "sipward.toml:3:1: unknown key `max_failure`; did you mean `max_failures`?\n  |\n\
         3 | max_failure = 3\n  | ^"
    );
    let error = refused("colour = 1\n");
    assert!(
        error.starts_with("sipward.toml:1:1: unknown key `colour`; the commented example"),
        "{error}"
    );
}

#[test]
fn fail2ban_names_and_seconds_are_accepted() {
    let config = parse(
        "ignoreip = [\"192.0.2.1\"]\n[policy]\nmaxretry = 3\nfindtime = 60\nbantime = \"2h\"\n",
    )
    .unwrap();
    assert_eq!(config.policy.max_failures, 3);
    assert_eq!(config.policy.window, Duration::from_secs(60));
    assert_eq!(config.policy.ban_time, Duration::from_secs(7200));
    assert_eq!(config.allow, ["192.0.2.1".parse().unwrap()]);
}

#[test]
fn a_value_out_of_range_is_refused_with_its_place() {
    for (source, place) in [
        ("[policy]\nmax_failures = 0\n", "sipward.toml:2:16: `policy.max_failures`"),
        ("[policy]\nmaxretry = 0\n", "sipward.toml:2:12: `policy.max_failures`"),
        ("[policy]\nwindow = \"0s\"\n", "sipward.toml:2:10: `policy.window`"),
        ("[policy]\nipv6_prefix = 20\n", "sipward.toml:2:15: `policy.ipv6_prefix`"),
        ("[policy.escalation]\nfactor = nan\n", "sipward.toml:2:10: `policy.escalation.factor`"),
        ("[route]\nprotocol = 4\n", "sipward.toml:2:12: `route.protocol`"),
        ("[route]\ngate_mark = 3\n", "sipward.toml:2:13: `route.gate_mark`"),
        ("[route]\ngate_limit = 0\n", "sipward.toml:2:14: `route.gate_limit`"),
        ("[shield]\npackets = 1\n", "sipward.toml:2:11: `shield.packets`"),
        ("[shield]\nstranger_tcp_bytes = 10\n", "sipward.toml:2:22: `shield.stranger_tcp_bytes`"),
        ("[shield]\nmode = \"off\"\npackets = 1\n", "sipward.toml:3:11: `shield.packets`"),
        ("[esl]\nqueue = 1\n", "sipward.toml:2:9: `esl.queue`"),
        ("dns_refresh = \"1s\"\n", "sipward.toml:1:15: `dns_refresh`"),
        ("[store]\npath = \"sipward.db\"\n", "sipward.toml:2:8: `store.path`"),
        ("[store]\nkeep_history = \"1m\"\n", "sipward.toml:2:16: `store.keep_history`"),
        ("[store]\nmax_history = 10\n", "sipward.toml:2:15: `store.max_history`"),
        ("[fleet]\nservers = [\"pbx:4222\"]\n", "sipward.toml:2:11: `fleet.servers`"),
        ("[fleet]\nservers = [\"nats://u:p@n\"]\n", "sipward.toml:2:11: `fleet.servers`"),
        ("[fleet]\nservers = [\"nats://n\"]\n", "sipward.toml:2:11: `fleet.servers`"),
        ("[fleet]\nname = \"a.b\"\n", "sipward.toml:2:8: `fleet.name`"),
        ("[fleet]\nsite = \"ops\"\n", "sipward.toml:2:8: `fleet.site`"),
        ("[fleet]\nsite = \"\"\n", "sipward.toml:2:8: `fleet.site`"),
        ("[fleet]\nquorum = 0\n", "sipward.toml:2:10: `fleet.quorum`"),
        ("[fleet]\nca = \"ca.pem\"\n", "sipward.toml:2:6: `fleet.ca`"),
        ("[fleet]\nkey = \"/k.pem\"\n", "sipward.toml:2:7: `fleet.key`"),
    ] {
        let error = refused(source);
        assert!(error.starts_with(place), "{source:?} gave {error}");
    }
}

#[test]
fn a_fleet_needs_a_server_and_a_name() {
    assert_eq!(parse("[fleet]\nname = \"a\"\n").unwrap().fleet, None, "without a server it is off");
    let fleet = |more: &str| {
        let source = format!("[fleet]\nservers = [\"tls://n:4222\"]\nname = \"pbx-1\"\n{more}");
        parse(&source).unwrap().fleet.unwrap()
    };
    let plain = fleet("");
    assert_eq!((&*plain.name, &*plain.site, plain.quorum), ("pbx-1", "main", 1));
    assert_eq!((&plain.tls, &plain.credentials), (&None, &None));
    let tls = fleet("certificate = \"/c.pem\"\nkey = \"/k.pem\"\n").tls.unwrap();
    assert_eq!(tls.identity, Some(("/c.pem".into(), "/k.pem".into())));
    assert_eq!(tls.ca, None);
}

#[test]
fn the_store_is_a_file_or_nowhere() {
    let location = |source: &str| parse(source).unwrap().store.location;
    let file = |path: &str| StoreLocation::File(path.into());
    assert_eq!(location(""), file("/var/lib/sipward/sipward.db"));
    assert_eq!(location("[store]\npath = \"/srv/bans.db\"\n"), file("/srv/bans.db"));
    assert_eq!(location("[store]\npath = \":memory:\"\n"), StoreLocation::Memory);
}

#[test]
fn the_shield_is_on_unless_told_so() {
    let shield = |source: &str| parse(source).unwrap().route.gate.shield;
    let usual = shield("").unwrap();
    assert_eq!(usual.packets, Some(400));
    assert_eq!(shield("[shield]\npackets = \"auto\"\nhealthy_packets = 20\n"), Some(usual));
    let other = shield("[shield]\npackets = 90\ntcp_bytes = \"off\"\nunlimited_packets = 900\n");
    let other = other.unwrap();
    let numbers = (other.packets, other.tcp_bytes, other.unlimited, other.connections);
    assert_eq!(numbers, (Some(90), None, Some(900), Some(100)));
    assert_eq!(shield("[shield]\nmode = \"off\"\n"), None);
}

#[test]
fn the_old_limit_of_the_gate_is_what_one_stranger_may_send() {
    let packets = |source: &str| parse(source).unwrap().route.gate.shield.unwrap().own.packets;
    assert_eq!(packets("[route]\ngate_limit = 20\n"), 20);
    assert_eq!(packets("[route]\ngate_limit = \"off\"\n"), 50);
    assert_eq!(packets("[route]\ngate_limit = 20\n[shield]\nstranger_packets = 30\n"), 30);
}

#[test]
fn a_negative_time_span_says_how_to_ban_without_an_end() {
    let error = refused("[policy]\nban_time = -1\n");
    assert!(error.starts_with("sipward.toml:2:12: a time span cannot be negative"), "{error}");
}

#[test]
fn wrong_types_and_broken_toml_are_refused_with_their_place() {
    for (source, start) in [
        ("mode = \"maybe\"\n", "sipward.toml:1:8: unknown variant `maybe`"),
        ("allow = [\"192.0.2\"]\n", "sipward.toml:1:10: `192.0.2` is neither an address"),
        ("[policy]\nwindow = \"ten\"\n", "sipward.toml:2:10: `ten` is not a time span"),
        ("mode = \n", "sipward.toml:1:8: "),
        (
            "[route]\ngate_limit = \"on\"\n",
            "sipward.toml:2:14: expected \"off\" or packets a second",
        ),
        (
            "[shield]\npackets = \"many\"\n",
            "sipward.toml:2:11: expected \"auto\", \"off\" or a number",
        ),
        (
            "[route]\ntable = \"other\"\n",
            "sipward.toml:2:9: expected \"auto\", \"main\" or a table number",
        ),
    ] {
        let error = refused(source);
        assert!(error.starts_with(start), "{source:?} gave {error}");
    }
}

#[test]
fn hosts_are_addresses_networks_and_names() {
    let entry = |text: &str| text.parse::<HostEntry>();
    assert_eq!(entry("192.0.2.77/24"), Ok(HostEntry::Net("192.0.2.0/24".parse().unwrap())));
    assert_eq!(entry("2001:db8::1"), Ok(HostEntry::Net("2001:db8::1/128".parse().unwrap())));
    assert_eq!(entry("Office.Example.org."), Ok(HostEntry::Name("office.example.org".into())));
    for wrong in ["", "192.0.2", "192.0.2.0/33", "-a.org", "a..b", "a b", "x\n", "1.2.3.4.5"] {
        assert!(entry(wrong).is_err(), "{wrong:?} was taken");
    }
}

#[test]
fn no_default_file_means_all_defaults_but_a_named_file_must_exist() {
    let missing = Path::new("/nonexistent/sipward.toml");
    let error = Config::load(Some(missing)).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/sipward.toml: "), "{error}");
}

#[test]
fn whom_to_tell_is_checked_when_the_file_is_read() {
    for (source, told) in [
        ("[mail]\nto = [\"noc\"]\n", "sipward.toml:2:6: `mail.to`: `noc` is not a mail address"),
        ("[mail]\nto = [\"a@b.org\\r\\nBcc: c@d.org\"]\n", "`mail.to`: "),
        ("[mail]\nserver = \"a b\"\n", "sipward.toml:2:10: `mail.server`: `a b` is not a server"),
        ("[mail]\nsendmail = \"sendmail\"\n", "not an absolute path"),
        ("[mail]\nserver = \"a\"\nsendmail = \"/s\"\n", "`mail.server` is also set"),
        ("[mail]\ndigest = \"0s\"\n", "`mail.digest`: 0s is not between"),
        ("[webhook]\nurls = [\"ftp://a/\"]\n", "is neither https nor http"),
        ("[webhook]\nevents = [\"bans\"]\n", "sipward.toml:2:11: unknown variant `bans`"),
        ("[whois]\nserver = \"a:0\"\n", "`whois.server`: `a:0` is not a server"),
        ("[whois]\nper_minute = 601\n", "`whois.per_minute`: 601 is more than 600"),
    ] {
        let error = refused(source);
        assert!(error.contains(told), "{source:?} gave {error}");
    }
}

#[test]
fn the_port_of_a_mail_server_follows_from_tls_unless_it_is_named() {
    for (source, place) in [
        ("server = \"mail.example.org\"\ntls = \"tls\"\n", ("mail.example.org", 465)),
        ("server = \"192.0.2.25\"\ntls = \"starttls\"\n", ("192.0.2.25", 587)),
        ("server = \"[2001:db8::25]:2525\"\n", ("2001:db8::25", 2525)),
    ] {
        match parse(&format!("[mail]\n{source}")).unwrap().mail.way {
            crate::MailTransport::Smtp { host, port, .. } => {
                assert_eq!((host.as_str(), port), place);
            }
            other @ crate::MailTransport::Sendmail(_) => panic!("{other:?}"),
        }
    }
}

#[test]
fn http_is_served_in_clear_only_where_nobody_else_can_read_along() {
    let http = |source: &str| parse(&format!("[http]\n{source}\n")).map(|config| config.http);
    assert_eq!(http(""), Ok(crate::HttpSettings::default()));
    let loopback = http("listen = [\"127.0.0.1:8022\", \"[::1]:8022\"]").unwrap();
    assert_eq!(loopback.listen.len(), 2);
    for open in ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let listen = format!("listen = [\"127.0.0.1:1\", \"{open}\"]\n");
        let refused = http(&listen).unwrap_err();
        assert!(refused.contains("sipward.toml:2:10: `http.listen`: "), "{refused}");
        assert!(refused.contains("unencrypted") && refused.contains("deploy/nginx"), "{refused}");
        http(&format!("{listen}trusted_proxies = [\"192.0.2.10\"]")).unwrap();
        http(&format!("{listen}certificate = \"/c.pem\"\nkey = \"/k.pem\"")).unwrap();
    }
}

#[test]
fn wrong_values_of_http_are_refused_with_what_to_write() {
    for (source, told) in [
        (
            "listen = [\"8022\"]",
            "`http.listen`: `8022` is not an address with a port; write 127.0.0.1:8022",
        ),
        ("listen = [\"localhost:8022\"]", "is not an address with a port"),
        ("certificate = \"/c.pem\"", "`http.certificate`: `http.key` is not set"),
        ("key = \"/k.pem\"", "`http.key`: `http.certificate` is not set"),
        ("certificate = \"c.pem\"\nkey = \"/k.pem\"", "is not an absolute path"),
        ("trusted_proxies = [\"proxy.example\"]", "is not an address or network"),
        ("hosts = [\"https://pbx.example\"]", "without scheme and port"),
        ("hosts = [\"pbx.example:8022\"]", "without scheme and port"),
        ("session = \"1s\"", "`http.session`: 1s is not between 1m and 30d"),
        ("tokens = []", "unknown key `tokens`"),
    ] {
        let error = refused(&format!("[http]\n{source}\n"));
        assert!(error.contains(told), "{source}: {error}");
    }
    let hosts = "[http]\nhosts = [\"PBX.example.\", \"192.0.2.1\", \"2001:db8::1\"]\n";
    assert_eq!(parse(hosts).unwrap().http.hosts, ["pbx.example", "192.0.2.1", "2001:db8::1"]);
}

#[test]
fn an_entry_of_allow_may_have_an_end_and_a_comment() {
    let source = "allow = [\"192.0.2.7\", { host = \"office.example.org\", until = \"2026-12-01\", \
                  comment = \"the trade fair\" }, { host = \"2001:db8::/48\" }]";
    let config = parse(source).unwrap();
    let hosts: Vec<String> = config.allow.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["192.0.2.7/32", "office.example.org", "2001:db8::/48"]);
    let note = config.allow_note(&config.allow[1]).unwrap();
    // 2026-12-01 00:00 UTC.
    let end = Timestamp::from_micros(1_796_083_200_000_000);
    assert_eq!(note.until, Some(end));
    assert_eq!(note.comment.as_deref(), Some("the trade fair"));
    let before = Timestamp::from_micros(end.as_micros() - 1);
    assert_eq!(config.allow_at(before).count(), 3);
    assert_eq!(config.allow_at(end).count(), 2);
    for (entry, problem) in [
        ("{ host = \"192.0.2.7\", until = \"soon\" }", "write a day such as 2026-12-01"),
        ("{ until = \"2026-12-01\" }", "host"),
        ("{ host = \"192.0.2.7\", why = \"x\" }", "why"),
        ("7", "a host, or a table"),
    ] {
        let error = refused(&format!("allow = [{entry}]"));
        assert!(error.contains(problem), "{entry}: {error}");
    }
}

use std::fs;

use tempfile::TempDir;

use super::*;

/// A host made of files, with nothing on it.
fn host() -> TempDir {
    let host = TempDir::new().unwrap();
    fs::create_dir(host.path().join("proc")).unwrap();
    fs::create_dir(host.path().join("etc")).unwrap();
    host
}

fn process(host: &TempDir, id: u32, arguments: &[&str]) {
    let directory = host.path().join(format!("proc/{id}"));
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("cmdline"), arguments.join("\0")).unwrap();
}

fn rivals(host: &TempDir) -> Check {
    let processes = processes::Processes::read(&host.path().join("proc"));
    processes::rivals(&processes, true, &host.path().join("etc"))
}

fn jail(host: &TempDir, text: &str) {
    let directory = host.path().join("etc/fail2ban");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("jail.local"), text).unwrap();
}

#[test]
fn a_fail2ban_that_watches_sip_is_a_rival_and_one_that_watches_ssh_is_none() {
    let host = host();
    assert_eq!(rivals(&host).state, State::Ok);
    process(&host, 77, &["/usr/bin/python3", "/usr/bin/fail2ban-server", "-xf", "start"]);
    jail(&host, "[sshd]\nenabled = true\n[freeswitch]\n");
    let check = rivals(&host);
    assert_eq!(check.state, State::Ok);
    assert!(check.found.contains("fail2ban runs, but watches no SIP"), "{check:?}");
    jail(&host, "[sshd]\nenabled = true\n[freeswitch]\nenabled = true\n");
    let check = rivals(&host);
    assert_eq!(check.state, State::Warn);
    assert!(check.found.contains("fail2ban runs and watches SIP (jail freeswitch)"), "{check:?}");
    assert!(check.advice.unwrap().contains("sipward import fail2ban"));
}

#[test]
fn what_starts_at_the_next_boot_is_a_rival_too() {
    let host = host();
    jail(&host, "[freeswitch]\nenabled = true\n");
    let wants = host.path().join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink(
        "/lib/systemd/system/fail2ban.service",
        wants.join("fail2ban.service"),
    )
    .unwrap();
    assert!(rivals(&host).found.contains("fail2ban starts at boot and watches SIP"));
}

#[test]
fn event_guard_is_known_by_its_script() {
    let host = host();
    let script = "/var/www/fusionpbx/app/event_guard/resources/service/event_guard.php";
    process(&host, 78, &["/usr/bin/php", script]);
    process(&host, 79, &["vim", "notes-about-event_guard"]);
    assert!(rivals(&host).found.contains("event_guard runs"));
}

#[tokio::test]
async fn a_daemon_that_was_started_with_another_file_is_another_daemon() {
    const OURS: &str = "/etc/sipward/sipward.toml";
    for (words, config, is_ours) in [
        (&[] as &[&str], None, true),
        (&[], Some(OURS), true),
        (&[], Some("/srv/two.toml"), false),
        (&["--config", "/srv/two.toml"], None, false),
        (&["--config=/srv/two.toml"], None, false),
        (&["-c", "/srv/two.toml"], Some(OURS), false),
        (&["-c/srv/two.toml", "--dry-run"], Some("/srv/two.toml"), true),
        (&["-c=/srv/two.toml"], Some("/srv/two.toml"), true),
        (&["--dry-run", "--config", "/srv/two.toml"], Some("/srv/two.toml"), true),
        // Relative to what nobody but root can see.
        (&["--config", "two.toml"], Some("/srv/two.toml"), true),
        (&["--config"], None, true),
    ] {
        let host = host();
        process(&host, 80, &[&["/usr/bin/sipward", "run"], words].concat());
        let processes = processes::Processes::read(&host.path().join("proc"));
        let daemon = processes::daemon(&processes, config.map(Path::new), None).await;
        assert_eq!(daemon.process, is_ours.then_some(80), "{words:?} and {config:?}");
    }
}

#[tokio::test]
async fn without_anything_every_check_is_there_and_says_what_to_do() {
    let host = host();
    let config = host.path().join("etc/sipward.toml");
    fs::write(&config, "mode = \"observe\"\n").unwrap();
    let patient = Patient {
        config: Some(config),
        socket: Some(host.path().join("no.sock")),
        heartbeat: Duration::ZERO,
        root: host.path().to_owned(),
    };
    let examination = examine(&patient).await.unwrap();
    let names: Vec<&str> = examination.checks.iter().map(|check| check.check.as_ref()).collect();
    assert_eq!(
        names,
        [
            "configuration",
            "credentials",
            "daemon",
            "event socket",
            "events",
            "heartbeat",
            "clock",
            "log-auth-failures",
            "permissions",
            "gateways",
            "access lists",
            "sip ports",
            "capability",
            "gate",
            "bans",
            "sip bans",
            "flows",
            "banned hosts",
            "clashes",
            "others that ban",
            "database",
            "disk space",
            "page",
        ]
    );
    assert_eq!(examination.worst, State::Fail);
    for check in &examination.checks {
        assert_eq!(check.advice.is_some(), check.state != State::Ok, "{check:?}");
    }
}

//! The password is in no output.

use std::fs;

use sipward_tests::daemon::Setup;
use sipward_tests::fake_freeswitch::FakeFreeSwitch;

use super::shell::sipward;
use super::world::{World, ip, setup_without_credentials};

super::cases![
    the_password_is_nowhere_even_at_trace_level,
    the_password_of_a_file_is_nowhere_either,
    a_file_for_support_holds_no_secret_and_no_user,
];

const PASSWORD: &str = "Tr0ub4dor-correct-horse";

/// The password as it would look in a dump of bytes, in hexadecimal and in base 64.
const DISGUISES: [&str; 4] =
    [PASSWORD, "84, 114, 48, 117, 98, 52", "547230756234646f72", "VHIwdWI0ZG9y"];

fn the_password_is_nowhere_even_at_trace_level() {
    keeps_quiet(|setup| setup.env("ESL_PASSWORD", PASSWORD));
}

fn the_password_of_a_file_is_nowhere_either() {
    keeps_quiet(|setup| {
        let file = setup.directory().join("esl-password");
        fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        setup.env("ESL_PASSWORD_FILE", file.to_str().unwrap())
    });
}

/// Through everything that has to do with the password: refused, cut, accepted, reloaded, stopped.
fn keeps_quiet(with_password: impl FnOnce(Setup) -> Setup) {
    let world = World::with(FakeFreeSwitch::builder().user("sipward@default").password("another"));
    let setup = with_password(
        setup_without_credentials("")
            .env("ESL_HOST", &world.fs.address().ip().to_string())
            .env("ESL_PORT", &world.fs.address().port().to_string())
            .env("ESL_USER", "sipward@default"),
    )
    .env("RUST_LOG", "trace")
    .env("RUST_BACKTRACE", "full")
    .arg("--log-level")
    .arg("trace");
    let checked = world.pbx.run(|| setup.run("check"));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let daemon = world.start(&setup);
    daemon.expect("esl_disconnected");
    world.fs.expect_password(PASSWORD);
    daemon.expect("esl_connected");
    world.fail("198.51.100.7", 5);
    daemon.expect("ban");
    world.fs.drop_mid_frame();
    daemon.expect_many("esl_connected", 2, |_| true);
    daemon.hang_up();
    daemon.expect("reload");
    let process = format!("/proc/{}", daemon.id());
    let arguments = fs::read_to_string(format!("{process}/cmdline")).unwrap();
    let ended = daemon.stop();

    let sent = world.fs.commands();
    assert!(sent.iter().any(|command| command.ends_with(PASSWORD)), "the test itself: {sent:?}");
    let output = [
        ended.log.text(),
        String::from_utf8_lossy(&checked.stdout).into_owned(),
        String::from_utf8_lossy(&checked.stderr).into_owned(),
        arguments,
    ]
    .join("\n");
    assert!(output.contains("\"DEBUG\""), "more than usual was asked for");
    for disguise in DISGUISES {
        assert!(!output.contains(disguise), "{disguise} in:\n{output}");
    }
}

fn a_file_for_support_holds_no_secret_and_no_user() {
    const USER: &str = "alice-4711";
    let world = World::with(FakeFreeSwitch::builder().password(PASSWORD));
    let config = "[mail]\nto = [\"noc@example.org\"]\nserver = \"127.0.0.1:9\"\n\
                  [webhook]\nurls = [\"http://127.0.0.1:9/Room-s3cret\"]\n";
    let setup = setup_without_credentials(config)
        .event_socket(world.fs.address(), PASSWORD)
        .env("SMTP_USER", "pbx")
        .env("SMTP_PASSWORD", "Smtp-s3cret")
        .env("WEBHOOK_SECRET", "Hook-s3cret");
    let daemon = world.watch(&setup);
    let made = sipward(&setup, &["token", "add", "grafana"]).expect(0);
    let token = made.lines().next().unwrap();
    for n in 0..5 {
        world.fs.failure(ip("198.51.100.7"), 5060 + n, USER);
    }
    daemon.expect("ban");
    let history = sipward(&setup, &["history", "--json"]).expect(0);
    assert!(history.contains(USER), "{history}");

    let text = world.pbx.run(|| sipward(&setup, &["support", "-o", "-"])).expect(0);
    for secret in DISGUISES.into_iter().chain(["s3cret", token, USER]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for part in [
        "sipward 0.",
        "kernel: Linux",
        "noc@example.org",
        "OK    event socket",
        "198.51.100.7/32",
        "\"user-1\"",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let file = setup.directory().join("support.txt");
    let file = file.to_str().unwrap();
    let out = sipward(&setup, &["support", "-o", file]).expect(0);
    assert!(out.starts_with(file) && fs::read_to_string(file).unwrap().contains("user-1"), "{out}");
    assert_eq!(sipward(&setup, &["support", "-o", file]).status, Some(1));
}

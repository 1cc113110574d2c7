//! `sipward setup`: on a terminal, in a script, again, and where FreeSWITCH is not found or refuses.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sipward_tests::daemon::Setup;
use sipward_tests::fake_freeswitch::FakeFreeSwitch;
use tempfile::TempDir;

use super::doctor::Screen;
use super::world::{World, setup_without_credentials};

super::cases![
    vanilla_files_are_set_up_on_a_terminal_and_nothing_changes_the_second_time,
    files_of_fusionpbx_are_set_up_by_a_script,
    without_a_freeswitch_nothing_is_written_and_the_words_help,
    a_wrong_password_names_the_line_to_change,
    a_no_at_the_end_writes_nothing,
];

const FILE: &str = "autoload_configs/event_socket.conf.xml";

/// A root with the file of the Event Socket in `directory`.
fn root(world: &World, directory: &str, password: Option<&str>) -> TempDir {
    let root = TempDir::new().unwrap();
    let address = world.fs.address();
    let mut params = format!(
        "    <param name=\"listen-ip\" value=\"{}\"/>\n    <param name=\"listen-port\" value=\"{}\"/>\n",
        address.ip(),
        address.port()
    );
    if let Some(password) = password {
        params += "    <param name=\"password\" value=\"";
        params += password;
        params += "\"/>\n";
    }
    let xml = format!(
        "<configuration name=\"event_socket.conf\">\n  <settings>\n{params}  </settings>\n</configuration>\n"
    );
    write(&root.path().join(directory).join(FILE), &xml);
    root
}

fn write(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// A connection of SSH from 203.0.113.9, in the kernel's table.
fn ssh(root: &TempDir) {
    let peer = u32::from_ne_bytes([203, 0, 113, 9]);
    let table = format!("head\n 0: 00000000:0016 {peer:08X}:C350 01 0:0\n");
    write(&root.path().join("proc/net/tcp"), &table);
}

/// What a script that runs `sipward setup --yes` sees.
fn by_script(world: &World, root: &TempDir) -> (Option<i32>, String) {
    let setup = setup_without_credentials("");
    let words = ["setup", "--yes", "--root", root.path().to_str().unwrap()];
    let output = world.pbx.run(|| setup.command_without_config(&words).output().unwrap());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn on_a_terminal(world: &World, setup: &Setup, root: &TempDir) -> Screen {
    let words = ["setup", "--root", root.path().to_str().unwrap()];
    world.pbx.run(|| Screen::of(setup.command_without_config(&words)))
}

fn read(root: &TempDir, file: &str) -> String {
    fs::read_to_string(root.path().join("etc/sipward").join(file)).unwrap_or_default()
}

fn vanilla_files_are_set_up_on_a_terminal_and_nothing_changes_the_second_time() {
    let registered = r#"{"row_count":1,"rows":[{"reg_user":"1000","realm":"pbx","token":"t","url":"u","expires":"1","network_ip":"203.0.113.5","network_port":"5060","network_proto":"udp","hostname":"h","metadata":""}]}"#;
    let world =
        World::with(FakeFreeSwitch::builder().answer("show registrations as json", registered));
    let root = root(&world, "usr/local/freeswitch/conf", Some("ClueCon"));
    ssh(&root);
    let setup = setup_without_credentials("");
    let mut screen = on_a_terminal(&world, &setup, &root);
    screen.wait_for("FreeSWITCH from source");
    screen.wait_for("logged in");
    screen.wait_for("203.0.113.9 is logged in over SSH. Allow it? [Y/n] ");
    screen.keys.write_all(b"\n").unwrap();
    screen.wait_for("203.0.113.5  1 user");
    screen.wait_for("for good, too? [y/N] ");
    screen.keys.write_all(b"y\n").unwrap();
    screen.wait_for("Serve the page on 127.0.0.1:8022");
    screen.keys.write_all(b"\n").unwrap();
    screen.wait_for("mode = \"observe\"");
    screen.wait_for("Write these files? [Y/n] ");
    assert_eq!(read(&root, "esl-password"), "", "nothing is written before the answer");
    screen.keys.write_all(b"y\n").unwrap();
    assert!(screen.end().success());

    assert_eq!(read(&root, "esl-password"), "ClueCon\n");
    let password = root.path().join("etc/sipward/esl-password");
    assert_eq!(fs::metadata(password).unwrap().permissions().mode() & 0o777, 0o600);
    let settings = read(&root, "conf.d/20-setup.toml");
    for part in ["\"203.0.113.9\"", "\"203.0.113.5\"", "[http]", "127.0.0.1:8022"] {
        assert!(settings.contains(part), "{part}: {settings}");
    }
    assert!(read(&root, "conf.d/10-mode.toml").contains("mode = \"observe\""));
    let file = root.path().join("etc/sipward/sipward.toml");
    let check =
        setup.command_without_config(&["check", "--effective", "--config", file.to_str().unwrap()]);
    let effective = { check }.output().unwrap();
    let effective = String::from_utf8(effective.stdout).unwrap();
    assert!(effective.contains("mode = \"observe\"  # ") && effective.contains("10-mode.toml"));

    let (status, again) = by_script(&world, &root);
    assert_eq!(status, Some(0), "{again}");
    assert_eq!(again.matches("stays as it is").count(), 3, "{again}");
    assert!(!again.contains("Write these files?") && !again.contains("ClueCon"), "{again}");
    assert_eq!(read(&root, "conf.d/20-setup.toml"), settings);
}

fn files_of_fusionpbx_are_set_up_by_a_script() {
    let world = World::new();
    let root = root(&world, "etc/freeswitch", None);
    write(
        &root.path().join("etc/fusionpbx/config.conf"),
        "switch.event_socket.host = 127.0.0.1\nswitch.event_socket.password = ClueCon\n",
    );
    ssh(&root);
    write(
        &root.path().join("etc/sipward/sipward.toml"),
        "mode = \"ban\"\nallow = [\"203.0.113.0/24\"]\n",
    );
    write(
        &root.path().join("etc/sipward/environment"),
        "SMTP_PASSWORD=s3cret\nESL_HOST=192.0.2.99\nSMTP_USER=pbx\n",
    );
    write(&root.path().join("etc/sipward/conf.d/20-setup.toml"), "[http]\ntrusted_proxies = []\n");
    let (status, text) = by_script(&world, &root);
    assert_eq!(status, Some(0), "{text}");
    let address = world.fs.address();
    let address = format!("ESL_HOST={}\nESL_PORT={}\n", address.ip(), address.port());
    let environment = format!("SMTP_PASSWORD=s3cret\nSMTP_USER=pbx\n{address}");
    assert_eq!(read(&root, "environment"), environment, "other variables stay");
    assert!(!text.contains("s3cret"), "{text}");
    let settings = read(&root, "conf.d/20-setup.toml");
    assert!(settings.contains("trusted_proxies") && settings.contains("127.0.0.1:8022"));
    assert!(text.contains("FusionPBX") && text.contains("logged in"), "{text}");
    assert!(!text.contains("over SSH"), "the file allows it: {text}");
    assert!(!text.contains("ClueCon"), "{text}");
    assert_eq!(read(&root, "esl-password"), "ClueCon\n");
    assert_eq!(read(&root, "conf.d/10-mode.toml"), "", "the operator has chosen the mode");
    assert!(read(&root, "sipward.toml").starts_with("mode = \"ban\""), "it is left alone");
}

fn without_a_freeswitch_nothing_is_written_and_the_words_help() {
    let world = World::new();
    let root = TempDir::new().unwrap();
    let (status, text) = by_script(&world, &root);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("no FreeSWITCH on this host") && text.contains("--freeswitch"), "{text}");
    assert!(!root.path().join("etc").exists());
}

fn a_wrong_password_names_the_line_to_change() {
    let world = World::new();
    let root = root(&world, "etc/freeswitch", Some("wrong"));
    let (status, text) = by_script(&world, &root);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("event_socket.conf.xml:5") && text.contains("reload mod_event_socket"),
        "{text}"
    );
    assert!(!root.path().join("etc/sipward").exists() && !text.contains("\"wrong\""));
}

fn a_no_at_the_end_writes_nothing() {
    let world = World::new();
    let root = root(&world, "etc/freeswitch", Some("ClueCon"));
    let setup = setup_without_credentials("");
    let mut screen = on_a_terminal(&world, &setup, &root);
    screen.wait_for("Serve the page");
    screen.keys.write_all(b"n\n").unwrap();
    screen.wait_for("Write these files?");
    screen.keys.write_all(b"n\n").unwrap();
    screen.wait_for("nothing written");
    assert!(screen.end().success());
    assert!(!root.path().join("etc/sipward").exists());
}

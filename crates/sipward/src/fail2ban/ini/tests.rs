use proptest::prelude::*;

use super::*;

fn merged(files: &[&str]) -> Ini {
    let mut ini = Ini::default();
    for file in files {
        let (over, bad) = Ini::parse(file);
        assert!(bad.is_empty(), "{bad:?}");
        ini.merge(over);
    }
    ini
}

fn value(ini: &Ini, section: &str, key: &str) -> String {
    ini.value(section, key).unwrap().unwrap()
}

#[test]
fn sections_fall_back_to_the_default_one() {
    let ini = merged(&["[DEFAULT]\nmaxretry = 5\nbantime: 10m\n[freeswitch]\nmaxretry=10\n"]);
    assert_eq!(value(&ini, "freeswitch", "maxretry"), "10");
    assert_eq!(value(&ini, "freeswitch", "bantime"), "10m");
    assert_eq!(ini.value("freeswitch", "findtime"), None);
    assert_eq!(ini.sections().collect::<Vec<_>>(), ["freeswitch"]);
}

#[test]
fn the_last_file_wins_and_keys_are_read_without_regard_to_case() {
    let ini = merged(&["[a]\nMaxRetry = 5\nx = 1\n", "[a]\nmaxretry = 3 ; tightened\n"]);
    assert_eq!(value(&ini, "a", "maxretry"), "3");
    assert_eq!(value(&ini, "a", "x"), "1");
}

#[test]
fn indented_lines_go_on_and_comments_are_left_out() {
    let text = "[DEFAULT]\nignoreip = 127.0.0.1/8\n  # the office\n  192.0.2.1 ; our own\n\n  ::1\n#bantime = 5\n; more\nbantime = 1h\n";
    let ini = merged(&[text]);
    assert_eq!(value(&ini, "x", "ignoreip"), "127.0.0.1/8\n192.0.2.1\n::1");
    assert_eq!(value(&ini, "x", "bantime"), "1h");
}

#[test]
fn a_semicolon_without_space_before_it_is_part_of_the_value() {
    assert_eq!(value(&merged(&["[a]\nx = b;c\n"]), "a", "x"), "b;c");
}

#[test]
fn references_are_replaced_also_through_other_sections() {
    let text = "[DEFAULT]\nbase = 10\nfilter = %(__name__)s[mode=%(mode)s]\nmode = normal\n\
                [freeswitch]\nmode = extra\nbantime = %(BASE)sm\npercent = 5%%\n\
                [other]\nbantime = %(freeswitch/bantime)s\nmode = %(default/mode)s\n";
    let ini = merged(&[text]);
    assert_eq!(value(&ini, "freeswitch", "filter"), "freeswitch[mode=extra]");
    assert_eq!(value(&ini, "freeswitch", "bantime"), "10m");
    assert_eq!(value(&ini, "freeswitch", "percent"), "5%");
    assert_eq!(value(&ini, "other", "bantime"), "10m");
    assert_eq!(value(&ini, "other", "mode"), "normal");
}

#[test]
fn a_text_of_another_section_refers_to_the_keys_of_this_one() {
    let text = "[DEFAULT]\nport = 0:65535\naction_ = x[port=%(port)s]\n\
                [freeswitch]\nport = 5060\naction_ = %(default/action_)s\n\
                [other]\nport = 22\naction_ = %(freeswitch/port)s\n";
    let ini = merged(&[text]);
    assert_eq!(value(&ini, "freeswitch", "action_"), "x[port=5060]");
    assert_eq!(value(&ini, "other", "action_"), "5060");
}

#[test]
fn known_means_what_an_earlier_file_said() {
    let ini = merged(&[
        "[DEFAULT]\nignoreip = 127.0.0.1/8\n",
        "[DEFAULT]\nignoreip = %(known/ignoreip)s 192.0.2.1\n",
        "[freeswitch]\nignoreip = %(known/ignoreip)s 192.0.2.2\n",
    ]);
    assert_eq!(value(&ini, "freeswitch", "ignoreip"), "127.0.0.1/8 192.0.2.1 192.0.2.2");
    assert_eq!(value(&ini, "sshd", "ignoreip"), "127.0.0.1/8 192.0.2.1");
}

#[test]
fn references_in_a_circle_or_to_nothing_are_errors_not_hangs() {
    let ini = merged(&["[a]\nx = %(y)s\ny = %(x)s\nz = %(nowhere)s\nq = 50%\n"]);
    for key in ["x", "y", "z", "q"] {
        let error = ini.value("a", key).unwrap().unwrap_err();
        assert!(error.starts_with(&format!("[a] {key}: ")), "{error}");
    }
}

#[test]
fn values_that_double_each_other_stay_bounded() {
    let mut text = String::from("[a]\nx0 = 0123456789\n");
    for n in 1..=9 {
        let twenty = format!("%(x{})s", n - 1).repeat(20);
        text = format!("{text}x{n} = {twenty}\n");
    }
    let error = merged(&[&text]).value("a", "x9").unwrap().unwrap_err();
    assert!(error.contains("longer than"), "{error}");
}

#[test]
fn lines_without_sense_are_told_by_number() {
    let (ini, bad) = Ini::parse("stray = 1\n[a]\nnonsense\nx = 1\n= 2\n");
    let numbers: Vec<usize> = bad.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 3, 5]);
    assert_eq!(value(&ini, "a", "x"), "1");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "(\\[[a-zA-Z/]{0,9}\\]?|[a-z]{1,3} ?[=:] ?(%\\((known/)?[a-z/]{0,5}\\)s|%%?|[a-z;# ]){0,6}|[ \t]+[a-z;%()]*|\\PC{0,12}|\n){0,40}",
        over in "(\\[a\\]|[a-z] = (%\\(known/[a-z]\\)s|x){0,4}|\n){0,12}",
    ) {
        let (mut ini, _) = Ini::parse(&text);
        ini.merge(Ini::parse(&over).0);
        let names: Vec<String> = ini.sections().map(str::to_owned).collect();
        for name in names {
            let keys: Vec<String> = ini.sections[&name].keys().cloned().collect();
            for key in keys {
                if let Some(Ok(value)) = ini.value(&name, &key) {
                    prop_assert!(value.len() <= MAX_VALUE);
                }
            }
        }
    }
}

use serde_json::{Value, json};

use super::super::feed::News;
use super::*;

/// A ban of a network, a denied flow, and two failing sources, the first of them busier.
fn scene() -> Scene {
    let mut scene = Scene::default();
    for mut line in [
        json!({"event": "auth_failure", "address": "203.0.113.7", "user": "1000", "user_agent": "Phone"}),
        json!({"event": "auth_failure", "address": "203.0.113.7", "user": "1000", "user_agent": "Phone"}),
        json!({"event": "auth_failure", "address": "198.51.100.9", "user": "\u{1b}[2J", "user_agent": "Scanner"}),
        json!({"event": "flow_denied", "flow": "192.0.2.7 udp 41234", "by": "rule", "rule": "failures"}),
        json!({"event": "ban", "net": "198.51.100.0/24", "by": "manual"}),
    ] {
        line["time"] = json!("2026-11-23T22:01:02Z");
        line["banned"] = Value::from(false);
        scene.take(News::Line(serde_json::from_value(line).unwrap()));
    }
    scene
}

/// Types keys: characters, `<` for Escape, `\n` for Enter, `\t` for Tab, `^` for Up. The last step.
fn typed(browse: &mut Browse, scene: &Scene, keys: &str) -> Step {
    let mut step = Step::Nothing;
    for key in keys.chars() {
        let code = match key {
            '<' => KeyCode::Esc,
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '^' => KeyCode::Up,
            '~' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        step = browse.key(KeyEvent::new(code, KeyModifiers::NONE), scene);
    }
    step
}

fn net(text: &str) -> Net {
    text.parse().unwrap()
}

#[test]
fn enter_asks_why_of_the_selected_row() {
    let scene = scene();
    let mut browse = Browse::default();
    assert_eq!(typed(&mut browse, &scene, "\n"), Step::Nothing);
    assert!(browse.note.as_ref().unwrap().text.contains("select a row"));
    let step = typed(&mut browse, &scene, "jj\n");
    assert_eq!(step, Step::Ask(Request::Why("198.51.100.9".parse().unwrap())));
    // It goes no further than the last row, and one request at a time.
    assert_eq!(typed(&mut browse, &scene, "jjj^\n"), Step::Nothing);
    assert!(browse.note.as_ref().unwrap().text.contains("still waiting"));
    browse.answered(Answer::Failed("no".into()));
    assert!(browse.note.as_ref().unwrap().is_error);
    let step = typed(&mut browse, &scene, "\n");
    assert_eq!(step, Step::Ask(Request::Why("203.0.113.7".parse().unwrap())));
}

#[test]
fn the_selection_goes_with_its_row() {
    let mut scene = scene();
    let mut browse = Browse::default();
    typed(&mut browse, &scene, "j");
    for _ in 0..9 {
        let line = json!({"time": "2026-11-23T22:01:02Z", "event": "auth_failure",
            "address": "198.51.100.9", "user": "1", "user_agent": "x", "banned": false});
        scene.take(News::Line(serde_json::from_value(line).unwrap()));
    }
    assert_eq!(browse.place(&browse.rows(&scene, Pane::Sources)), Some(1), "another is busier");
    let step = typed(&mut browse, &scene, "\n");
    assert_eq!(step, Step::Ask(Request::Why("203.0.113.7".parse().unwrap())));
}

#[test]
fn nothing_is_banned_or_unbanned_without_a_yes() {
    let scene = scene();
    let mut browse = Browse::default();
    assert_eq!(typed(&mut browse, &scene, "jb"), Step::Ask(Request::Weigh(net("203.0.113.7"))));
    let request = Request::Ban(net("203.0.113.7"));
    browse.answered(Answer::Question { text: "ban 203.0.113.7/32?".into(), request });
    assert_eq!(typed(&mut browse, &scene, "\n"), Step::Nothing, "Enter is no yes");
    assert_eq!(browse.prompt, None);
    browse.answered(Answer::Question { text: "ban 203.0.113.7/32?".into(), request });
    assert_eq!(typed(&mut browse, &scene, "y"), Step::Ask(request));
    browse.answered(Answer::Done("banned".into()));
    assert_eq!(browse.note.as_ref().unwrap().text, "banned");

    // The newest ban is that of the network, the one below a flow.
    assert_eq!(typed(&mut browse, &scene, "\tu"), Step::Nothing);
    let Some(Prompt::Confirm { text, .. }) = &browse.prompt else { panic!("{:?}", browse.prompt) };
    assert_eq!(text, "unban 198.51.100.0/24?");
    let step = typed(&mut browse, &scene, "y");
    assert_eq!(step, Step::Ask(Request::Unban(net("198.51.100.0/24"))));
    browse.answered(Answer::Done("1 ban lifted".into()));
    let step = typed(&mut browse, &scene, "juy");
    assert_eq!(step, Step::Ask(Request::Allow("192.0.2.7 udp 41234".parse().unwrap())));
}

#[test]
fn a_question_does_not_come_into_what_is_being_typed() {
    let scene = scene();
    let mut browse = Browse::default();
    typed(&mut browse, &scene, "jb/");
    let request = Request::Ban(net("203.0.113.7"));
    browse.answered(Answer::Question { text: "ban?".into(), request });
    assert_eq!(typed(&mut browse, &scene, "y\n"), Step::Nothing);
    assert_eq!(browse.filter, "y");
}

#[test]
fn the_filter_looks_at_every_cell_and_is_bounded() {
    let scene = scene();
    let mut browse = Browse::default();
    typed(&mut browse, &scene, "/sCANNER");
    assert_eq!(browse.rows(&scene, Pane::Sources).len(), 1);
    assert_eq!(browse.rows(&scene, Pane::Bans).len(), 0);
    typed(&mut browse, &scene, "\n");
    assert_eq!((browse.filter.as_str(), &browse.prompt), ("sCANNER", &None));
    assert_eq!(typed(&mut browse, &scene, "<"), Step::Nothing, "Escape ends the filter first");
    assert_eq!(browse.rows(&scene, Pane::Sources).len(), 2);
    typed(&mut browse, &scene, "/");
    typed(&mut browse, &scene, &"x".repeat(500));
    assert_eq!(browse.filter.len(), MAX_FILTER);
    typed(&mut browse, &scene, "~");
    assert_eq!(browse.filter.len(), MAX_FILTER - 1);
    typed(&mut browse, &scene, "<");
    assert_eq!(browse.filter, "");
}

#[test]
fn q_and_escape_lead_back_and_then_out() {
    let scene = scene();
    let mut browse = Browse::default();
    typed(&mut browse, &scene, "?");
    assert!(matches!(browse.view, View::Help));
    assert_eq!(typed(&mut browse, &scene, "q"), Step::Nothing);
    assert_eq!(typed(&mut browse, &scene, "q"), Step::Quit);
    assert_eq!(typed(&mut browse, &scene, "<"), Step::Quit);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    typed(&mut browse, &scene, "/");
    assert_eq!(browse.key(control_c, &scene), Step::Quit);
}

#[test]
fn cells_of_attackers_are_escaped() {
    let rows = Browse::default().rows(&scene(), Pane::Sources);
    assert!(rows.iter().any(|row| row.cells[2] == "\\u{1b}[2J"), "{rows:?}");
}

use serde_json::{Value, json};

use super::*;
use sipward_model::wire::PolicyOrigin;

fn value(key: &str, value: Value) -> PolicyValue {
    let (key, default, origin) = (key.to_owned(), value.clone(), PolicyOrigin::Default);
    PolicyValue { key, value, default, origin, overridden: None }
}

fn in_force() -> Vec<PolicyValue> {
    vec![
        value("max_failures", json!(5)),
        value("window_seconds", json!(600)),
        value("rules.users.mode", json!("shadow")),
        value("rules.user_agents.patterns", json!(["friendly-scanner", "sipvicious"])),
    ]
}

fn form(fields: &[(&str, &str)]) -> Fields {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    Fields::parse(query.as_bytes()).unwrap()
}

#[test]
fn a_form_sends_only_what_it_changes() {
    let fields = form(&[
        ("max_failures", "5"),
        ("window_seconds", " 20m "),
        ("rules.users.mode", "ban"),
        ("rules.user_agents.patterns", "friendly-scanner\r\nsipvicious\r\n"),
    ]);
    let change = change_of(&in_force(), &fields).unwrap();
    let changed = [("rules.users.mode", json!("ban")), ("window_seconds", json!(1_200))];
    assert_eq!(change.values, changed.map(|(key, value)| (key.to_owned(), value)).into());
    assert!(change.stored);
}

#[test]
fn what_is_no_value_is_said_of_its_field() {
    for (key, text) in [("max_failures", "many"), ("max_failures", ""), ("window_seconds", "soon")]
    {
        let fault = change_of(&in_force(), &form(&[(key, text)])).unwrap_err();
        assert_eq!(fault.problem().errors[0].field, key);
    }
}

#[test]
fn the_last_user_agent_can_be_taken_away() {
    let change = change_of(&in_force(), &form(&[("rules.user_agents.patterns", "")])).unwrap();
    assert_eq!(change.values["rules.user_agents.patterns"], json!([]));
}

#[test]
fn every_value_is_read_as_it_is_written() {
    for PolicyValue { key, value, .. } in in_force() {
        let parsed = key.parse().unwrap();
        assert_eq!(values::read(parsed, &values::written(&key, &value)), Ok(value));
    }
}

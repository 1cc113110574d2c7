use super::*;

fn changed(change: impl FnOnce(&mut Settings)) -> Result<(), SettingsError> {
    let mut settings = Settings::default();
    change(&mut settings);
    settings.check()
}

#[test]
fn the_defaults_are_in_order() {
    assert_eq!(Settings::default().check(), Ok(()));
}

#[test]
fn a_protocol_number_with_an_owner_is_refused() {
    for taken in [0, 4, 9, 12, 186] {
        assert_eq!(changed(|s| s.protocol = taken), Err(SettingsError::Protocol(taken)));
    }
    assert_eq!(changed(|s| s.protocol = 5), Ok(()));
    assert_eq!(changed(|s| s.protocol = 255), Ok(()));
}

#[test]
fn an_own_table_is_none_of_the_kernels_and_is_read_first() {
    let own = |id, preference| changed(|s| s.table = BanTable::Own(OwnTable { id, preference }));
    assert_eq!(own(1000, 999), Ok(()));
    assert_eq!(own(0, 10), Err(SettingsError::Table(0)));
    assert_eq!(own(254, 10), Err(SettingsError::Table(254)));
    assert_eq!(own(1000, 0), Err(SettingsError::Preference(0)));
    assert_eq!(own(1000, 1000), Err(SettingsError::Preference(1000)));
    assert_eq!(own(217, 10), Err(SettingsError::SharedTable(217)));
    let auto = |preference| changed(|s| s.table = BanTable::Auto { preference });
    assert_eq!((auto(1), auto(999)), (Ok(()), Ok(())));
    assert_eq!(auto(1000), Err(SettingsError::Preference(1000)));
}

#[test]
fn the_gate_mark_is_one_bit() {
    assert_eq!(changed(|s| s.gate.mark = 1), Ok(()));
    assert_eq!(changed(|s| s.gate.mark = 0), Err(SettingsError::Mark(0)));
    assert_eq!(changed(|s| s.gate.mark = 3), Err(SettingsError::Mark(3)));
}

#[test]
fn the_gate_falls_back_only_after_every_other_rule() {
    assert_eq!(changed(|s| s.gate.rule_preference = 32_768), Ok(()));
    let refused = Err(SettingsError::RulePreference(32_767));
    assert_eq!(changed(|s| s.gate.rule_preference = 32_767), refused);
}

#[test]
fn a_table_name_cannot_carry_anything_else() {
    for name in ["", "a b", "x;y", "ü", &"n".repeat(32)] {
        let refused = Err(SettingsError::TableName(name.to_owned()));
        assert_eq!(changed(|s| s.gate.table_name = name.to_owned()), refused);
    }
}

#[test]
fn sip_ports_are_real_and_few() {
    let with = |ports: Vec<u16>| changed(|s| s.gate.sip_ports = ports);
    assert_eq!(with(Vec::new()), Ok(()));
    assert_eq!(with((1..=64).collect()), Ok(()));
    assert_eq!(with((1..=65).collect()), Err(SettingsError::SipPorts(65)));
    assert_eq!(with(vec![5060, 0]), Err(SettingsError::SipPort));
}

#[test]
fn a_limit_lets_something_through() {
    let with = |limit| changed(|s| s.gate.limit = limit);
    assert_eq!(with(None), Ok(()));
    assert_eq!(with(Some(1)), Ok(()));
    assert_eq!(with(Some(100_000)), Ok(()));
    for refused in [0, 100_001] {
        assert_eq!(with(Some(refused)), Err(SettingsError::Limit(refused)));
    }
}

#[test]
fn without_ports_there_is_nothing_to_limit() {
    let mut gate = GateSettings { limit: Some(50), ..GateSettings::default() };
    assert_eq!(gate.effective_limit(), Some(50));
    gate.sip_ports.clear();
    assert_eq!(gate.effective_limit(), None);
}

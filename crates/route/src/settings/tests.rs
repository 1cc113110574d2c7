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
fn every_limit_of_the_shield_has_a_range() {
    let with = |change: fn(&mut ShieldSettings)| {
        changed(|settings| {
            let mut shield = ShieldSettings::default();
            change(&mut shield);
            settings.gate.shield = Some(shield);
        })
    };
    let refused = |key, value, least, most| Err(SettingsError::Shield { key, value, least, most });
    assert_eq!(with(|s| s.packets = Some(2)), Ok(()));
    assert_eq!(with(|s| s.packets = Some(1)), refused("packets", 1, 2, 100_000));
    assert_eq!(with(|s| s.packets = None), Ok(()));
    let above = with(|s| s.connections = Some(100_001));
    assert_eq!(above, refused("connections", 100_001, 1, 100_000));
    let small = with(|s| s.own.tcp_bytes = 1_999);
    assert_eq!(small, refused("stranger_tcp_bytes", 1_999, 2_000, 100_000_000));
    let none = with(|s| s.healthy.guaranteed = 0);
    assert_eq!(none, refused("guaranteed_packets", 0, 1, 100_000));
}

#[test]
fn the_budgets_are_shares_of_what_freeswitch_takes() {
    let of = |requests| ShieldSettings::for_requests(requests);
    assert_eq!(of(None), of(Some(1000)));
    assert_eq!(of(None), of(Some(0)));
    assert_eq!(of(None).packets, Some(400));
    assert_eq!(of(None).tcp_bytes, Some(100_000));
    let small = of(Some(200));
    assert_eq!(
        (small.packets, small.connections, small.healthy.together),
        (Some(80), Some(20), Some(100))
    );
    for requests in [1, 2, 7, u32::MAX] {
        assert_eq!(of(Some(requests)).check(), Ok(()), "{requests}");
    }
}

#[test]
fn without_ports_there_is_nothing_to_shield() {
    let mut gate = GateSettings::default();
    assert!(gate.effective_shield().is_some());
    gate.sip_ports = Vec::new();
    assert_eq!(gate.effective_shield(), None);
}

use super::*;

fn new(net: &str) -> NewBan {
    serde_json::from_value(serde_json::json!({ "net": net })).unwrap()
}

#[test]
fn a_wide_network_needs_force() {
    for (net, passes) in [
        ("203.0.0.0/16", true),
        ("203.0.0.0/15", false),
        ("0.0.0.0/0", false),
        ("2001:db8::/32", true),
        ("2001:db8::/31", false),
    ] {
        assert_eq!(guard(&new(net)).is_ok(), passes, "{net}");
        assert!(guard(&NewBan { force: true, ..new(net) }).is_ok());
    }
}

#[test]
fn what_a_split_ends_and_leaves_is_told_apart_from_what_ended_by_itself() {
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    let unblock = |text, reason| Action::Unblock { net: net(text), reason };
    let ended = Ended::of(&[
        unblock("192.0.2.1/32", UnblockReason::Expired),
        unblock("192.0.2.2/32", UnblockReason::Superseded),
        unblock("192.0.2.3/32", UnblockReason::Manual),
        unblock("192.0.2.4/32", UnblockReason::Split),
    ]);
    assert_eq!((ended.count, ended.nets), (2, vec![net("192.0.2.3/32"), net("192.0.2.4/32")]));
}

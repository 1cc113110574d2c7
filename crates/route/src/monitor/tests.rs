use netlink_packet_core::{Emitable, NetlinkHeader};

use super::*;

const OWN: Own = Own { route: 77, netfilter: Some(78) };

/// A notification as the kernel sends it: header and the first bytes of `struct rtmsg`.
fn notification(kind: u16, flags: u16, port: u32, protocol: u8) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.length = 28;
    header.message_type = kind;
    header.flags = flags;
    header.port_number = port;
    let mut bytes = vec![0; 28];
    header.emit(&mut bytes);
    bytes[16 + 5] = protocol;
    bytes
}

#[test]
fn what_we_change_ourselves_is_no_sign() {
    let own = notification(RTM_DELROUTE, 0, 77, 216);
    assert_eq!(signs(&own, OWN, 216), Signs::default());
    assert!(signs(&notification(RTM_DELROUTE, 0, 79, 216), OWN, 216).routes);
    assert_eq!(signs(&notification(NEW_GENERATION, 0, 78, 0), OWN, 216), Signs::default());
    assert!(signs(&notification(NEW_GENERATION, 0, 79, 0), OWN, 216).fixtures);
}

#[test]
fn a_route_with_our_mark_that_others_set_or_delete_is_a_sign() {
    for kind in [RTM_DELROUTE, RTM_NEWROUTE] {
        assert!(signs(&notification(kind, 0, 1, 216), OWN, 216).routes);
        assert!(!signs(&notification(kind, 0, 1, 4), OWN, 216).routes);
    }
}

#[test]
fn a_route_of_others_that_goes_may_have_been_in_the_way() {
    assert!(signs(&notification(RTM_DELROUTE, 0, 1, 4), OWN, 216).obstacles);
    assert!(signs(&notification(RTM_NEWROUTE, NLM_F_REPLACE, 1, 4), OWN, 216).obstacles);
    assert!(!signs(&notification(RTM_NEWROUTE, 0, 1, 4), OWN, 216).obstacles);
}

#[test]
fn a_route_that_replaced_one_may_have_replaced_ours() {
    assert!(signs(&notification(RTM_NEWROUTE, NLM_F_REPLACE, 1, 4), OWN, 216).routes);
    assert!(!signs(&notification(RTM_NEWROUTE, 0, 1, 4), OWN, 216).routes);
}

#[test]
fn an_interface_may_have_taken_everything_along_but_no_elements() {
    let expected = Signs { sets: false, ..Signs::ALL };
    assert_eq!(signs(&notification(RTM_NEWLINK, 0, 0, 0), OWN, 216), expected);
}

#[test]
fn several_notifications_in_one_datagram_are_all_read() {
    let mut both = notification(RTM_NEWRULE, 0, 1, 0);
    both.extend(notification(RTM_NEWADDR, 0, 1, 0));
    let signs = signs(&both, OWN, 216);
    assert!(signs.fixtures && signs.host);
}

#[test]
fn a_malformed_datagram_is_no_sign() {
    assert_eq!(signs(&[1, 2, 3], OWN, 216), Signs::default());
    assert_eq!(signs(&[255; 64], OWN, 216), Signs::default());
}

#[test]
fn an_overrun_means_that_anything_may_have_happened() {
    assert_eq!(overrun(Errno::ENOBUFS.into()).unwrap(), Signs::ALL);
    assert!(overrun(Errno::EBADF.into()).is_err());
}

#[test]
fn only_sets_of_our_table_are_compared() {
    let told = |kind: u16, port: u32, table: &str| {
        let mut bytes = notification(kind, 0, port, 0)[..20].to_vec();
        let name = [table.as_bytes(), b"\0"].concat();
        bytes.extend(u16::try_from(4 + name.len()).unwrap().to_ne_bytes());
        bytes.extend(TABLE_NAME.to_ne_bytes());
        bytes.extend(name);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    };
    for kind in SET_CHANGES {
        assert!(changes_sets(&told(kind, 1, "sipward"), OWN, "sipward"));
        assert!(!changes_sets(&told(kind, 1, "sipward2"), OWN, "sipward"));
        assert!(!changes_sets(&told(kind, 78, "sipward"), OWN, "sipward"), "our own");
    }
    assert!(!changes_sets(&told(NEW_GENERATION, 1, "sipward"), OWN, "sipward"));
}

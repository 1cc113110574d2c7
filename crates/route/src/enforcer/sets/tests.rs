use super::*;
use crate::ban::SipBans;

#[test]
fn bans_from_the_sip_ports_are_kept_by_the_set_that_holds_them() {
    let mut bans = SipBans::default();
    let nets = ["192.0.2.7/32", "2001:db8::/64", "203.0.113.0/24"].map(|net| net.parse().unwrap());
    for net in nets {
        bans.insert(net);
        assert!(bans.contains(net));
    }
    assert_eq!((bans.hosts.len(), bans.nets.len(), bans.len()), (2, 1, 3));
    assert_eq!(bans.iter().collect::<HashSet<_>>(), nets.into());
    for net in nets {
        bans.remove(net);
    }
    assert_eq!(bans.len(), 0);
}

use super::*;
use crate::Transport;

fn flow(n: usize) -> Flow {
    let address = u32::try_from(n / 60_000).unwrap();
    let port = u16::try_from(n % 60_000 + 1).unwrap();
    Flow { source: std::net::Ipv4Addr::from(address).into(), transport: Transport::Udp, port }
}

#[test]
fn only_what_differs_is_changed() {
    let mut flows = KeptFlows::default();
    flows.keep(flow(1));
    flows.keep(flow(2));
    assert_eq!(flows.take_changed(9), [(flow(1), true), (flow(2), true)]);
    assert_eq!(flows.replace([flow(2), flow(3)]), 0);
    assert_eq!(flows.take_changed(1), [(flow(1), false)]);
    assert!(flows.has_changed());
    assert_eq!(flows.take_changed(9), [(flow(3), true)]);
    flows.remove(flow(7));
    assert!(!flows.has_changed(), "it was not kept");
}

#[test]
fn the_table_is_bounded() {
    let mut flows = KeptFlows::default();
    assert_eq!(flows.replace((0..MOST_KEPT_FLOWS + 3).map(flow)), 3);
    assert_eq!(flows.len(), MOST_KEPT_FLOWS);
    assert_eq!(flows.keep(flow(MOST_KEPT_FLOWS + 9)), Admission::Full);
    assert_eq!(flows.keep(flow(7)), Admission::Admitted, "it is there already");
    flows.remove(flow(7));
    assert_eq!(flows.keep(flow(MOST_KEPT_FLOWS + 9)), Admission::Admitted);
}

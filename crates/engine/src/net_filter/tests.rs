use proptest::prelude::*;

use super::*;
use crate::net;

fn nets() -> impl Strategy<Value = Vec<IpNet>> {
    let v4 = (any::<u8>(), 0..=32_u8).prop_map(|(n, len)| net::net_of([10, 0, n, n].into(), len));
    let v6 = (any::<u16>(), 0..=128_u8).prop_map(|(n, len)| {
        net::net_of(std::net::Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, n).into(), len)
    });
    prop::collection::vec(prop_oneof![v4, v6], 0..20)
}

proptest! {
    #[test]
    fn lets_every_covered_address_pass_and_few_others(nets in nets(), n in any::<u8>()) {
        let mut filter = NetFilter::new(7);
        let mut held: Vec<IpNet> = Vec::new();
        for net in nets {
            if held.contains(&net) {
                filter.remove(&net);
                held.retain(|other| *other != net);
            } else {
                filter.insert(&net);
                held.push(net);
            }
            for addr in [IpAddr::from([10, 0, n, n]), IpAddr::from([11, 0, n, n])] {
                let covered = held.iter().any(|net| net.contains(&addr));
                prop_assert_eq!(filter.may_cover(addr), covered);
            }
        }
    }
}

use std::sync::Arc;

use super::*;
use crate::{Cause, Transport};

const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn flow(n: u32, port: u16) -> Flow {
    Flow { source: IpAddr::from(n.to_be_bytes()), transport: Transport::Udp, port }
}

fn denial(until: Timestamp) -> Denial {
    let cause = Arc::new(Cause::Adopted).into();
    Denial { since: START, until, cause, enforcement: Enforcement::Pending }
}

#[test]
fn the_flow_that_ends_first_ends_first() {
    let mut flows = Flows::new(1);
    for n in [3_u32, 1, 2] {
        flows.insert(flow(n, 5060), denial(START + Duration::from_secs(n.into())));
    }
    // A new end replaces the old one.
    flows.insert(flow(1, 5060), denial(START + Duration::from_secs(9)));
    assert_eq!(flows.next_expiry(), Some(START + Duration::from_secs(2)));
    assert_eq!(flows.pop_expired(START + Duration::from_secs(1)), None);
    assert_eq!(flows.pop_expired(START + Duration::from_secs(2)), Some(flow(2, 5060)));
    assert_eq!(flows.pop_oldest(), Some(flow(3, 5060)));
    assert_eq!(flows.pop_oldest(), Some(flow(1, 5060)));
    assert_eq!((flows.len(), flows.next_expiry()), (0, None));
}

#[test]
fn eight_ports_within_an_hour_are_the_most_and_none_twice() {
    let mut flows = Flows::new(1);
    let host = Key::of_addr("192.0.2.7".parse().unwrap());
    let most = u16::try_from(MAX_DENIED_PORTS).unwrap();
    for port in 1..=most {
        let now = START + Duration::from_secs(60 * u64::from(port));
        assert!(flows.may_deny(&host, port, now));
        let distrusted = flows.note(host, port, now, now);
        assert_eq!(distrusted.is_some(), port == most);
        assert!(!flows.may_deny(&host, port, now));
    }
    let now = START + Duration::from_secs(540);
    assert!(!flows.may_deny(&host, 99, now));
    assert!(flows.distrusted_until(&host, now).is_some());
    // The first has aged out of the hour, the second has not.
    let later = START + Duration::from_secs(3_660);
    assert!(flows.may_deny(&host, 99, later) && flows.may_deny(&host, 1, later));
    assert!(!flows.may_deny(&host, 2, later));
    assert_eq!(flows.trust(&"192.0.2.0/24".parse().unwrap(), now), [host.addr()]);
    assert_eq!(flows.distrusted_until(&host, now), None);
    flows.expire(START + Duration::from_secs(7_200));
    assert_eq!(flows.hosts(), 0);
}

#[test]
fn old_denials_keep_numbers_only() {
    let mut flows = Flows::new(1);
    let json = r#"{"by":"rule","rule":"failures","address":"192.0.2.7","identity":"known","failures":20,
        "score":20.0,"max_failures":20,"window_seconds":600,"grade":"answered","ban_count":0,
        "users":["1000"],"profile":"internal","user_agent":"x"}"#;
    let cause: Arc<Cause> = Arc::new(serde_json::from_str(json).unwrap());
    for n in 0..=u32::try_from(MAX_DETAILED).unwrap() {
        let cause = Arc::clone(&cause).into();
        flows.insert(flow(n, 5060), Denial { cause, ..denial(START) });
    }
    let details =
        |n| flows.get(&flow(n, 5060)).unwrap().cause.evidence().unwrap().details.is_some();
    assert!(!details(0) && details(1));
}

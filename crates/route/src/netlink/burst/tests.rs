use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

use super::*;

#[test]
fn what_waits_is_taken_in_order_a_part_at_a_time() {
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    let mut burst = Burst::new();
    assert!(!burst.take(receiver.as_raw_fd()).unwrap(), "nothing waits");
    let all: Vec<Vec<u8>> = (0..=DATAGRAMS).map(|n| vec![u8::try_from(n).unwrap(); n]).collect();
    let mut taken = Vec::new();
    for (index, datagram) in all.iter().enumerate() {
        sender.send(datagram).unwrap();
        // A socket of this kind holds a few datagrams only.
        if index % 8 == 0 {
            assert!(burst.take(receiver.as_raw_fd()).unwrap());
            taken.extend(burst.datagrams().map(<[u8]>::to_vec));
        }
    }
    assert_eq!(taken, all);
    assert!(!burst.take(receiver.as_raw_fd()).unwrap());
    assert_eq!(burst.datagrams().count(), 0, "nothing is left of those before");
}

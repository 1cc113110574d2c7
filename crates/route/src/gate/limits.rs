//! What one host may send, by what it is.

use super::family::Transport;
use super::objects::Budget;
use super::stateful::Rate;
use crate::ShieldSettings;

/// Packets of a slowed host a second, and at once. A monitor that asks every second is not disturbed.
const SLOW_PACKETS: u32 = 1;
const SLOW_BURST: u32 = 20;
/// Bytes of TCP of a slowed host: a request a second.
const SLOW_BYTES: u32 = 1_500;
const SLOW_BURST_BYTES: u32 = 20_000;

/// What a healthy host with so many registrations may send. Above it the element does not match.
pub(super) fn healthy(transport: Transport, shield: &ShieldSettings, registrations: u32) -> Rate {
    let healthy = &shield.healthy;
    let times = |value: u32| value.saturating_mul(registrations);
    match transport {
        Transport::Udp => Rate::packets(times(healthy.packets), times(healthy.burst)),
        Transport::Tcp => {
            Rate::bytes(times(healthy.tcp_bytes), times(healthy.tcp_bytes.saturating_mul(2)))
        }
    }
}

/// What each healthy host may send when all together send too much.
pub(super) fn guaranteed(transport: Transport, shield: &ShieldSettings) -> Rate {
    let healthy = &shield.healthy;
    match transport {
        // Half at once: what thirty forged phones have at once is no flood then.
        Transport::Udp => Rate::packets(healthy.guaranteed, healthy.guaranteed.div_ceil(2)),
        Transport::Tcp => Rate::bytes(healthy.guaranteed_tcp_bytes, healthy.guaranteed_tcp_bytes),
    }
}

/// What a healthy host may send above what is guaranteed and still sends evenly: as much again. Two at once,
/// because a request and the answer to its challenge follow each other.
pub(super) fn even(shield: &ShieldSettings) -> Rate {
    Rate::packets(shield.healthy.guaranteed, 2)
}

/// The limit of all healthy hosts together.
pub(super) fn together(transport: Transport, shield: &ShieldSettings) -> Option<u32> {
    match transport {
        Transport::Udp => shield.healthy.together,
        Transport::Tcp => shield.healthy.together_tcp_bytes,
    }
}

/// What one stranger may send. Matches what is above it.
pub(super) fn own(budget: Budget, shield: &ShieldSettings) -> Rate {
    let own = &shield.own;
    match budget {
        Budget::Packets => Rate::packets(own.packets, own.packets).over(),
        Budget::Connections => Rate::packets(own.connections, own.connections).over(),
        Budget::Tcp => Rate::bytes(own.tcp_bytes, 0).over(),
    }
}

/// What a slowed host may send. Matches what is above it.
pub(super) fn slow(transport: Transport) -> Rate {
    match transport {
        Transport::Udp => Rate::packets(SLOW_PACKETS, SLOW_BURST).over(),
        Transport::Tcp => Rate::bytes(SLOW_BYTES, SLOW_BURST_BYTES).over(),
    }
}

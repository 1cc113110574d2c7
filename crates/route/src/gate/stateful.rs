//! Limits, and the sets that packets themselves fill: the kernel's `limit` and `dynset`.

use super::expression::{List, REGISTER, attribute, expression, laid_out, terminated};

/// `NFTA_DYNSET_…` and the operations that add an element, and that also renew its timeout.
const DYNSET_SET_NAME: u16 = 1;
const DYNSET_OP: u16 = 3;
const DYNSET_KEY_REGISTER: u16 = 4;
const DYNSET_EXPRESSION: u16 = 7;
const DYNSET_ADD: u32 = 0;
const DYNSET_UPDATE: u32 = 1;
/// `NFTA_LIMIT_…`, the two units, and the flag that turns "up to" into "over".
const LIMIT_RATE: u16 = 1;
const LIMIT_UNIT: u16 = 2;
const LIMIT_BURST: u16 = 3;
const LIMIT_TYPE: u16 = 4;
const LIMIT_FLAGS: u16 = 5;
const LIMIT_PACKETS: u32 = 0;
const LIMIT_BYTES: u32 = 1;
const LIMIT_OVER: u32 = 1;
const SECOND: u64 = 1;
const HOUR: u64 = 3600;

/// A rate, and what it lets through at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Packets or bytes in each `unit`.
    count: u32,
    /// Seconds.
    unit: u64,
    burst: u32,
    is_bytes: bool,
    is_over: bool,
}

impl Rate {
    /// `limit rate RATE/second burst BURST packets`
    pub(super) fn packets(rate: u32, burst: u32) -> Self {
        Self { count: rate, unit: SECOND, burst, is_bytes: false, is_over: false }
    }

    /// `limit rate RATE bytes/second burst BURST bytes`. The kernel lets through `rate + burst` bytes at
    /// once.
    pub(super) fn bytes(rate: u32, burst: u32) -> Self {
        Self { count: rate, unit: SECOND, burst, is_bytes: true, is_over: false }
    }

    /// So many packets, and then hardly any.
    pub(super) fn once(packets: u32) -> Self {
        Self { count: 1, unit: HOUR, burst: packets, is_bytes: false, is_over: false }
    }

    /// Matches what is above it, where it otherwise matches what is not.
    pub(super) fn over(self) -> Self {
        Self { is_over: true, ..self }
    }

    /// As the data of a named limit.
    pub(super) fn data(self) -> Vec<u8> {
        let kind = if self.is_bytes { LIMIT_BYTES } else { LIMIT_PACKETS };
        let flags = if self.is_over { LIMIT_OVER } else { 0 };
        [
            attribute(LIMIT_RATE, &u64::from(self.count).to_be_bytes()),
            attribute(LIMIT_UNIT, &self.unit.to_be_bytes()),
            attribute(LIMIT_BURST, &self.burst.to_be_bytes()),
            attribute(LIMIT_TYPE, &kind.to_be_bytes()),
            attribute(LIMIT_FLAGS, &flags.to_be_bytes()),
        ]
        .concat()
    }

    /// As the expression of an element, `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
    pub(super) fn laid_out(self) -> Vec<u8> {
        laid_out("limit", &self.data())
    }
}

/// `counter`, as the expression of an element.
pub(super) fn counter() -> Vec<u8> {
    laid_out("counter", &[])
}

/// `add @SET { register }`: remembers the host in the register. Ends the rule when the set is full.
pub(super) fn remember<'a>(list: List<'a>, set: &str) -> List<'a> {
    dynset(list, DYNSET_ADD, set, None)
}

/// `add @SET { register counter }`: counts for the host in the register; its timeout runs on.
pub(super) fn count_for<'a>(list: List<'a>, set: &str) -> List<'a> {
    dynset(list, DYNSET_ADD, set, Some(&counter()))
}

/// `add @SET { register limit … }`: gives the host in the register what the limit holds, unless it has
/// it already. Counts this packet too.
pub(super) fn grant<'a>(list: List<'a>, set: &str, rate: Rate) -> List<'a> {
    dynset(list, DYNSET_ADD, set, Some(&rate.laid_out()))
}

/// `update @SET { register limit … }`: ends the rule for packets that the host's limit does not match.
/// When the set is full the rule ends too: a host that is not known is not limited.
pub(super) fn meter<'a>(list: List<'a>, set: &str, rate: Rate) -> List<'a> {
    dynset(list, DYNSET_UPDATE, set, Some(&rate.laid_out()))
}

fn dynset<'a>(list: List<'a>, op: u32, set: &str, inner: Option<&[u8]>) -> List<'a> {
    let mut data = [
        attribute(DYNSET_SET_NAME, &terminated(set)),
        attribute(DYNSET_OP, &op.to_be_bytes()),
        attribute(DYNSET_KEY_REGISTER, &REGISTER.to_be_bytes()),
    ]
    .concat();
    data.extend(inner.into_iter().flat_map(|inner| attribute(DYNSET_EXPRESSION, inner)));
    expression(list, "dynset", &data)
}

//! The families of attacks.

mod evasion;
mod floods;
mod forgers;
mod healthy;
mod insiders;
mod networks;
mod strangers;
mod windows;

use crate::play::Family;

pub(crate) fn all() -> Vec<Family> {
    let all = [
        forgers::FAMILIES,
        evasion::FAMILIES,
        windows::FAMILIES,
        insiders::FAMILIES,
        networks::FAMILIES,
        strangers::FAMILIES,
        floods::FAMILIES,
        healthy::FAMILIES,
    ];
    all.into_iter().flatten().cloned().collect()
}

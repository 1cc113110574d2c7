//! All bans that are wanted, however many, a part at a time.

use ipnet::IpNet;

use super::error::ControlError;
use super::select::Filter;
use super::{Control, aside, convert};
use sipward_model::wire::{Ban, BanFilter};

/// Bans of one part at most: with all their evidence some 2 kB each, and written in between the events of
/// FreeSWITCH.
const PART: usize = 64;

/// Reads all wanted bans in the order of their networks. Between two parts the engine does its other work, so
/// half a million bans are never in memory at once.
pub struct BanReader {
    control: Control,
    filter: Filter,
}

impl Control {
    /// Reads the bans that `filter` describes.
    pub fn read_bans(&self, filter: BanFilter) -> Result<BanReader, ControlError> {
        let filter = Filter::new(filter, self.lookups.geo.finder())?;
        Ok(BanReader { control: self.clone(), filter })
    }
}

impl BanReader {
    /// The next wanted bans behind a network, and the last that was looked at; `None` at the end.
    pub async fn read(
        &self,
        last: Option<IpNet>,
    ) -> Result<(Vec<Ban>, Option<IpNet>), ControlError> {
        let filter = self.filter.clone();
        let part = self.control.engine.call(move |task| {
            let (mut bans, mut looked_at) = (Vec::new(), 0);
            for ban in task.engine().bans_after(last) {
                looked_at += 1;
                if filter.fits(&ban) {
                    bans.push(convert::ban(&ban, task.kernel(), task.clock()));
                }
                if bans.len() >= PART || looked_at >= filter.part() {
                    return (bans, Some(ban.net));
                }
            }
            (bans, None)
        });
        let (mut bans, last) = part.await?;
        if self.filter.is_by_place() {
            let filter = self.filter.clone();
            bans = aside(move || {
                bans.retain(|ban| filter.is_there(ban.net));
                bans
            })
            .await?;
        }
        Ok((self.control.locate(bans).await?, last))
    }
}

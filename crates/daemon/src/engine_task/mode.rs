//! The change of mode: the same decisions, carried out by another kernel side.

use std::collections::HashSet;
use std::time::Instant;

use ipnet::IpNet;
use sipward_route::Change;

use super::{EngineTask, Shielding};
use crate::freeswitch_queries::Query;
use crate::host_exemptions;
use crate::kernel::Prepared;
use crate::route_queue::{route_flow, route_scope};
use sipward_config::Mode;
use sipward_config::file::Shield;
use sipward_model::record::Record;
use sipward_store::Entry;

impl EngineTask {
    /// From now on `kernel` carries out what is decided, every active ban first. Gives the number of bans that it
    /// makes of routes which an earlier run left behind.
    pub fn switch_kernel(&mut self, kernel: Prepared, shield: Shield) -> usize {
        let Prepared { mode, routes_out, found, protocol, shield: shielding, taken } = kernel;
        self.routes_out = routes_out;
        let _ = taken.send(());
        self.store.put(Entry::Mode(mode));
        self.shielding = shielding.map(|shared| {
            let mut shielding = Shielding::new(shared, shield);
            // The kernel side was opened with the settings of the start.
            shielding.choose(shield);
            shielding
        });
        if let Some(prober) = &mut self.prober {
            prober.turn(mode == Mode::Ban);
            prober.moved(found.host.own.clone());
            prober.counts(found.coverage.gate);
        }
        for (class, nets) in host_exemptions(&found.host) {
            self.exempt(class, nets);
        }
        // What nothing explains makes room first: the kernel's set of flows may be full.
        self.allow_found(&found, |engine, flow| engine.flow(flow).is_none());
        self.order_everything();
        let banned: HashSet<IpNet> = self.engine.bans().map(|ban| ban.net).collect();
        let adopted = self.adopt(&found, &banned);
        if mode == Mode::Ban {
            self.publish((&found.coverage).into());
            if !found.foreign.is_empty() {
                self.publish(Record::ProtocolTaken { protocol, routes: found.foreign });
            }
        }
        if self.peer.is_some() {
            // For the shield: who is healthy, and what each profile takes.
            self.ask(Query::Connected);
        }
        adopted
    }

    /// Orders every active ban and denied flow once more, and the unbans that the kernel has not answered.
    fn order_everything(&mut self) {
        self.engine.await_kernel();
        let leaving = self.kernel.restart();
        let Self { engine, routes_out, clock, .. } = self;
        for net in leaving {
            routes_out.push(Change::Unblock(net));
        }
        for ban in engine.bans() {
            routes_out.push(Change::Block { net: ban.net, scope: route_scope(ban.scope) });
        }
        for denied in engine.flows() {
            let until = Instant::now() + clock.until_steady(denied.until);
            routes_out.push(Change::Deny { flow: route_flow(denied.flow), until });
        }
    }
}

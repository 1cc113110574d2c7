//! Denied flows: list, allow.

use ipnet::IpNet;
use sipward_engine::{Action, Engine, Flow, Input};

use super::Control;
use super::bounds::limit;
use super::convert;
use super::error::ControlError;
use sipward_model::wire::{FlowAllowed, FlowPage, FlowQuery};

impl Control {
    /// The flows that are denied.
    pub async fn flows(&self, query: FlowQuery) -> Result<FlowPage, ControlError> {
        let limit = limit(query.limit)?;
        let inside = query.inside.map(|net| net.0);
        let after = match query.cursor.as_deref().map(str::parse::<Flow>) {
            Some(Err(_)) => {
                return Err(ControlError::field("cursor", "use `next` of the previous page"));
            }
            Some(Ok(flow)) => Some(flow),
            None => None,
        };
        let page = self.engine.call(move |task| {
            let (engine, clock) = (task.engine(), task.clock());
            let total = flows_in(engine, None, inside).count() as u64;
            let mut rest = flows_in(engine, after, inside).peekable();
            let mut items = Vec::new();
            while items.len() < limit
                && let Some(denied) = rest.next()
            {
                items.push(convert::flow(&denied, clock));
            }
            let next = rest.peek().and(items.last()).map(|last| last.flow.to_string());
            FlowPage { items, total, next }
        });
        Ok(page.await?)
    }
}

/// The denied flows of a network behind one of them. There are 65,536 at most.
fn flows_in(
    engine: &Engine,
    after: Option<Flow>,
    inside: Option<IpNet>,
) -> impl Iterator<Item = sipward_engine::FlowView<'_>> {
    let flows = engine.flows_after(after);
    flows.filter(move |denied| inside.is_none_or(|net| net.contains(&denied.flow.source)))
}

impl Control {
    /// Allows a flow again. It is not denied again within the hour.
    pub async fn allow_flow(&self, flow: Flow) -> Result<FlowAllowed, ControlError> {
        let allowed = self.engine.call(move |task| {
            task.decide(Input::UnbanFlow { flow }, |actions| {
                actions.iter().any(|action| matches!(action, Action::AllowFlow { .. }))
            })
        });
        if !allowed.await? {
            return Err(ControlError::NotFound(format!("the flow {flow} is not denied")));
        }
        let store = self.store_settled().await;
        Ok(FlowAllowed { flow, store })
    }
}

//! Beginning one incarnation on its arbiter.

use std::{sync::Arc, time::Duration};

use actix::{
    ActorContext, ActorFuture, ActorFutureExt, Addr, AsyncContext, Context, fut::wrap_future,
};
use actix_rt::ArbiterHandle;
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::Instrument;

use super::{
    end::{End, EndReason, EndReport},
    heartbeat::patiently,
    supervise::Supervise,
};

pub(super) type Factory<A> = Arc<dyn Fn() -> A + Send + Sync>;

/// One incarnation, from before its factory has run.
pub(super) struct Life<A: Supervise> {
    /// Ends when the actor has ended, in whichever way.
    pub(super) task: JoinHandle<()>,
    /// Comes when the factory has made the actor.
    pub(super) born: oneshot::Receiver<Born<A>>,
    /// What its supervisor may tell it, once.
    pub(super) order: oneshot::Sender<Order>,
    /// What it says about its end.
    pub(super) report: EndReport,
}

pub(super) struct Born<A: Supervise> {
    pub(super) address: Addr<A>,
    pub(super) longest_silence: Duration,
}

pub(super) enum Order {
    /// Handle what waits in the mailbox, drain, and stop.
    Drain,
    /// Panic: fault injection.
    Crash,
}

impl<A: Supervise> Life<A> {
    /// Begins on `arbiter`. The factory runs inside the actor's task, so that
    /// its panic is the actor's. `None` when the thread takes up nothing
    /// within `patience`; nothing is left there to begin later.
    pub(super) async fn begin(
        name: &Arc<str>,
        factory: &Factory<A>,
        arbiter: &ArbiterHandle,
        patience: Duration,
    ) -> Option<Self> {
        let report = EndReport::default();
        let (order, orders) = oneshot::channel();
        let (announce, born) = oneshot::channel();
        let (begun, task) = oneshot::channel();
        arbiter.spawn_fn({
            let (name, factory, report) = (Arc::clone(name), Arc::clone(factory), report.clone());
            move || {
                let span = tracing::info_span!("actor", actor = %name);
                let life = live(factory, orders, announce, report);
                if let Err(task) = begun.send(actix_rt::spawn(life.instrument(span))) {
                    task.abort();
                }
            }
        });
        let task = patiently(patience, task).await?.ok()?;
        Some(Self { task, born, order, report })
    }
}

async fn live<A: Supervise>(
    factory: Factory<A>,
    orders: oneshot::Receiver<Order>,
    announce: oneshot::Sender<Born<A>>,
    report: EndReport,
) {
    let mut actor = factory();
    actor.supervised(report.clone());
    let mut context = Context::new();
    context.set_mailbox_capacity(A::MAILBOX);
    context.spawn(obey(orders, report));
    let born = Born { address: context.address(), longest_silence: actor.longest_silence() };
    if announce.send(born).is_ok() {
        context.into_future(actor).await;
    }
}

/// Runs within the actor beside its mailbox, which actix reads first.
fn obey<A: Supervise>(
    orders: oneshot::Receiver<Order>,
    report: EndReport,
) -> impl ActorFuture<A, Output = ()> {
    #[allow(clippy::panic)] // fault injection is what a crash is for
    wrap_future::<_, A>(orders).map(move |order, actor, context: &mut Context<A>| match order {
        Ok(Order::Drain) => {
            let drained = actor.drain(context).map(move |(), _, context: &mut Context<A>| {
                report.say(End::new(EndReason::Drained, "it was asked to stop"));
                context.stop();
            });
            context.wait(drained);
        }
        Ok(Order::Crash) => panic!("crash injected"),
        Err(_) => {
            report.say(End::new(EndReason::Killed, "its supervisor is gone"));
            context.stop();
        }
    })
}

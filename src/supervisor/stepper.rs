//! The actor around [`Steps`].

use std::time::Duration;

use tokio::time::Instant;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle,
    WrapFuture, dev::MessageResponse,
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    ActorRef, Unreachable,
    end::{End, EndReason, EndReport},
    observe::{Observation, Observe, Pace},
    step::{Next, Receives, StepLimits, Steps},
    supervise::{Draining, Supervise},
};

/// Runs [`Steps`] as an actor: recovers, then steps, one at a time, reading
/// its mailbox between steps.
pub struct Stepper<S: Steps> {
    /// Absent while a future of its own has it, and after the last. Boxed, so
    /// that the actor is `Unpin`, as actix asks, whatever `S` is.
    steps: Option<Box<S>>,
    limits: StepLimits,
    report: EndReport,
    due: Due,
    began: Instant,
    steps_done: u64,
    last_step: Option<Duration>,
}

/// When the next step begins.
enum Due {
    OnNudge,
    Later(SpawnHandle),
    Now,
}

impl<S: Steps> Stepper<S> {
    /// Wraps `steps`; [`Tree::spawn_steps`](super::Tree::spawn_steps) does it.
    pub(super) fn new(steps: S, limits: StepLimits) -> Self {
        Self {
            steps: Some(Box::new(steps)),
            limits,
            report: EndReport::default(),
            due: Due::OnNudge,
            began: Instant::now(),
            steps_done: 0,
            last_step: None,
        }
    }

    fn step(&mut self, context: &mut Context<Self>) {
        self.due = Due::OnNudge;
        let Some(mut steps) = self.steps.take() else { return };
        let limit = self.limits.step;
        let began = Instant::now();
        let work = async move {
            // Some steps are futures of many KB, which each layer around them would move.
            let step = Box::pin(steps.step());
            let result = timeout(limit, step).await;
            (steps, result)
        };
        context.wait(work.into_actor(self).map(
            move |(steps, result), stepper, context| match result {
                Ok(Ok(next)) => {
                    stepper.steps = Some(steps);
                    stepper.steps_done += 1;
                    stepper.last_step = Some(began.elapsed());
                    stepper.plan(next, context);
                }
                Ok(Err(failure)) => stepper.end(End::failed(&failure), context),
                Err(_) => stepper.end(over_limit("a step", limit), context),
            },
        ));
    }

    fn plan(&mut self, next: Next, context: &mut Context<Self>) {
        self.due = match next {
            Next::Again => {
                // The yield lets actors on the same thread go on even when
                // this one's steps never wait for anything.
                let turn = tokio::task::yield_now().into_actor(self);
                context.spawn(turn.map(|(), stepper, context| stepper.step(context)));
                Due::Now
            }
            Next::After(pause) => {
                let turn = tokio::time::sleep(pause).into_actor(self);
                let turn = turn.map(|(), stepper: &mut Self, context: &mut Context<Self>| {
                    stepper.step(context);
                });
                Due::Later(context.spawn(turn))
            }
            Next::OnNudge => Due::OnNudge,
            Next::Finished => return self.end(End::finished(), context),
        };
    }

    fn nudge(&mut self, context: &mut Context<Self>) {
        match self.due {
            Due::Now => return,
            Due::Later(turn) => {
                context.cancel_future(turn);
            }
            Due::OnNudge => {}
        }
        self.plan(Next::Again, context);
    }

    fn end(&mut self, end: End, context: &mut Context<Self>) {
        self.report.say(end);
        context.stop();
    }
}

fn over_limit(what: &str, limit: Duration) -> End {
    End::new(EndReason::Frozen, format!("{what} took longer than {} ms", limit.as_millis()))
}

impl<S: Steps> Actor for Stepper<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(mut steps) = self.steps.take() else { return };
        let limit = self.limits.start;
        let work = async move {
            let result = timeout(limit, steps.started()).await;
            (steps, result)
        };
        context.wait(work.into_actor(self).map(
            move |(steps, result), stepper, context| match result {
                Ok(Ok(())) => {
                    stepper.steps = Some(steps);
                    stepper.plan(Next::Again, context);
                }
                Ok(Err(failure)) => stepper.end(End::failed(&failure), context),
                Err(_) => stepper.end(over_limit("its start", limit), context),
            },
        ));
    }
}

impl<S: Steps> Supervise for Stepper<S> {
    fn supervised(&mut self, report: EndReport) {
        self.report = report;
    }

    fn longest_silence(&self) -> Duration {
        self.limits.start.max(self.limits.step)
    }

    fn drain(&mut self, _context: &mut Context<Self>) -> Draining<Self> {
        let steps = self.steps.take();
        let work = async move {
            if let Some(mut steps) = steps {
                steps.drain().await;
            }
        };
        Box::pin(work.into_actor(self))
    }
}

impl<S: Steps> Handler<Observe> for Stepper<S> {
    type Result = Observation;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Observation {
        Observation {
            state: self.steps.as_ref().map(|steps| steps.observe()).unwrap_or_default(),
            pace: Some(Pace {
                running_ms: millis(self.began.elapsed()),
                steps: self.steps_done,
                last_step_ms: self.last_step.map(millis),
            }),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Step now.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Nudge;

impl<S: Steps> Handler<Nudge> for Stepper<S> {
    type Result = ();

    fn handle(&mut self, _: Nudge, context: &mut Self::Context) {
        self.nudge(context);
    }
}

/// Carries `M` to an actor that [`Receives`] it.
#[derive(Clone, Debug)]
pub struct Tell<M>(pub M);

impl<M: Message> Message for Tell<M> {
    type Result = M::Result;
}

impl<S: Receives<M>, M: Message> Handler<Tell<M>> for Stepper<S> {
    type Result = Told<M::Result>;

    fn handle(&mut self, Tell(message): Tell<M>, context: &mut Self::Context) -> Self::Result {
        let answer = self.steps.as_mut().map(|steps| steps.receive(message));
        self.nudge(context);
        Told(answer)
    }
}

/// The answer to a [`Tell`]; none from an actor that is about to end, which
/// its sender sees as the actor's death.
pub struct Told<R>(Option<R>);

impl<S: Receives<M>, M: Message> MessageResponse<Stepper<S>, Tell<M>> for Told<M::Result> {
    fn handle(self, _: &mut Context<Stepper<S>>, reply: Option<oneshot::Sender<M::Result>>) {
        if let (Some(answer), Some(reply)) = (self.0, reply) {
            // Fails only when the sender no longer waits.
            let _ = reply.send(answer);
        }
    }
}

impl<S: Steps> ActorRef<Stepper<S>> {
    /// Has the actor step soon. A nudge that finds no room is not missed:
    /// whatever waits in the mailbox has the actor step; and an actor that is
    /// down steps when it is back.
    pub fn nudge(&self) {
        let _ = self.try_send(Nudge);
    }

    /// Tells the actor `message` and waits for its answer, as
    /// [`send`](ActorRef::send) does.
    ///
    /// # Errors
    /// See [`Unreachable`].
    pub async fn tell<M>(&self, message: M, limit: Duration) -> Result<M::Result, Unreachable>
    where
        S: Receives<M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.send(Tell(message), limit).await
    }
}

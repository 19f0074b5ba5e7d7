//! A message of a task that has come, on its way to its run.

use super::{
    admit::Case,
    doubt::Doubt,
    logging::around,
    process::{Next, Processor, Rest},
    run::Run,
    running::Seat,
    settle::{Settling, Subject},
    slot::Slot,
    standing::Standing,
};
use crate::{
    clock::UnixMillis,
    message::Message,
    outcome::Verdict,
    retry::{Refusal, decide_refusal},
    status::Step,
    task::{Exec, TaskConfig, TaskDef},
};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

pub(super) struct Arrival {
    pub(super) message: Arc<Message>,
    pub(super) doubt: Doubt,
    pub(super) standing: Standing,
    pub(super) seat: Seat,
    pub(super) slot: Slot,
    pub(super) span: Option<Box<Span>>,
}

impl Arrival {
    /// Whether it may run, and as what task, if this worker knows one of its name. Most may as they are; the others are asked
    /// about, or wait for something.
    pub(super) fn admit(mut self, def: Option<Arc<TaskDef>>) -> Next {
        let waits = |config: &TaskConfig| self.message.track || config.exec == Exec::Blocking;
        match def {
            Some(def) if !waits(&def.config) && self.is_beyond_question() => Next::Run(Run::new(self, def, None)),
            def => {
                let span = self.span.take().map(|span| *span);
                around(span, Some(Box::pin(self.admit_at_length(def)))).into()
            }
        }
    }

    async fn admit_at_length(mut self, def: Option<Arc<TaskDef>>) {
        let rest = match self.look_into(def.as_ref()).await {
            Err(refusal) => self.refuse(refusal, def),
            Ok(def) => match self.get_ready(&def).await {
                Some(slot) => return Run::new(self, def, slot).go_on().await,
                None => self.give_back(def),
            },
        };
        if let Some(rest) = rest {
            rest.await;
        }
    }

    async fn look_into(&mut self, def: Option<&Arc<TaskDef>>) -> Result<Arc<TaskDef>, Refusal> {
        if self.processor().quarantine.is_on() {
            self.processor().wait_out(self.standing.by()).await?;
        }
        let def = def.ok_or(Refusal::UnknownTask)?;
        let doubt = self.doubt;
        self.case(&def.config).look_into(doubt).await?;
        Ok(def.clone())
    }

    /// Waits for what else a run needs; gives the slot of a plain `fn`. `None` if it cannot begin any more.
    async fn get_ready(&mut self, def: &TaskDef) -> Option<Option<OwnedSemaphorePermit>> {
        let slot = match def.config.exec {
            Exec::Async => None,
            Exec::Blocking => Some(self.processor().blocking_slot(self.standing.by()).await?),
        };
        if self.message.track {
            self.processor().track(&self.message, Step::Running).await;
        }
        let may_begin = self.is_beyond_question() || self.case(&def.config).may_begin().await;
        may_begin.then_some(slot)
    }

    fn processor(&self) -> &Processor {
        &self.seat.source().processor
    }

    fn is_beyond_question(&self) -> bool {
        self.doubt == Doubt::None && self.processor().sees_nothing_against(&self.message, &self.standing)
    }

    fn case<'a>(&'a mut self, config: &'a TaskConfig) -> Case<'a> {
        let Arrival { message, standing, seat, slot, .. } = self;
        Case { source: seat.source(), message, config, standing, slot }
    }

    fn refuse(mut self, refusal: Refusal, def: Option<Arc<TaskDef>>) -> Rest {
        // What follows takes no room from those that run.
        self.slot.release();
        let verdict = decide_refusal(refusal, Some(&self.message), UnixMillis::now());
        let subject = Subject::Task(self.message, def);
        Settling::not_run(subject, self.seat).carry_out(verdict, None)
    }

    fn give_back(mut self, def: Arc<TaskDef>) -> Rest {
        self.slot.release();
        let subject = Subject::Task(self.message, Some(def));
        let settling = Settling::not_run(subject, self.seat);
        settling.carry_out(Verdict::GiveBack, Some(self.standing))
    }
}

//! A rule set over history.

use std::{collections::BTreeSet, sync::Arc};

use alloy::primitives::U256;

use super::awards::Awards;
use crate::{
    domain::{Name, Watermark},
    fold::{Emitted, Engine, Input, InputError},
    rules::{Question, RuleSet},
};

/// A rule set that is being tried.
pub(super) struct Trial {
    pub(super) set: Arc<RuleSet>,
    engine: Engine<Arc<RuleSet>>,
    /// Whose events it needs.
    sources: BTreeSet<Name>,
    pub(super) awards: Awards,
    pub(super) events: u64,
    /// Messages that can't be right, as a daemon would find.
    pub(super) set_aside: u64,
    /// Time of the newest block that history reaches, seconds since the Unix epoch.
    pub(super) through: u64,
}

impl Trial {
    pub(super) fn of(set: Arc<RuleSet>) -> Self {
        let sources = set.sources();
        let names = sources.iter().map(|source| source.contract.clone()).collect();
        let engine = Engine::new(Arc::clone(&set), sources);
        Self {
            set,
            engine,
            sources: names,
            awards: Awards::default(),
            events: 0,
            set_aside: 0,
            through: 0,
        }
    }

    /// Takes in what happened, if it is of a contract that the set looks at.
    pub(super) fn hear(&mut self, input: &Input) -> Result<(), InputError> {
        let contract = match input {
            Input::Event(event) => &event.contract,
            Input::Watermark(watermark) => watermark.contract(),
        };
        if !self.sources.contains(contract) {
            return Ok(());
        }
        match input {
            Input::Event(_) => self.events += 1,
            Input::Watermark(Watermark::Progress { through, .. }) => {
                self.through = self.through.max(through.time);
            }
            Input::Watermark(Watermark::Retraction { .. }) => {}
        }
        match self.engine.handle(input.clone()) {
            Ok(()) => {}
            Err(error @ InputError::BelowFinality { .. }) => return Err(error),
            // A daemon sets it aside and goes on, too.
            Err(_) => self.set_aside += 1,
        }
        self.take();
        Ok(())
    }

    /// What the chain must be asked before history goes on.
    pub(super) fn questions(&self) -> Vec<Question> {
        let Some(end) = self.engine.waits_for() else { return Vec::new() };
        self.set.questions(self.engine.state(), end.chain_id, end.block, end.time)
    }

    /// Takes in an answer.
    pub(super) fn learn(&mut self, question: &Question, answer: U256) {
        self.engine.amend(|set, state| set.learn(state, question, answer));
        self.take();
    }

    fn take(&mut self) {
        // Nothing of it is written down anywhere.
        for emission in self.engine.take_effects().emissions {
            match emission.emitted {
                Emitted::Says(unlock) => self.awards.say(unlock),
                Emitted::TakesBack(unlock) => self.awards.take_back(&unlock),
            }
        }
    }
}

//! Compiling sequences.

use alloy::primitives::U256;

use super::{
    conditions::Conditions,
    document::{Errors, Node},
    limits,
    meter::{Measure, Window},
    number::Number,
    sequence::Sequence,
    signals::SIGNAL_KEYS,
    spans,
    tree::{Bound, EventLeaf},
};

impl Conditions<'_, '_> {
    /// One thing after the other.
    pub(super) fn sequence(
        &mut self,
        node: &Node<'_>,
        errors: &mut Errors<'_>,
    ) -> Option<EventLeaf> {
        let remedy = "write sequence = { of = [{ event = …, subject = … }, { event = …, subject = … }], \
                      within = \"14d\", not_between = { event = …, subject = … } }";
        let table = node.table(errors, remedy)?;
        table.deny_others(&["of", "within", "not_between"], errors);
        let of = table.require("of", errors, remedy);
        let list = of.and_then(|node| node.list(errors, "steps", limits::STEPS, remedy));
        let within = match table.get("within") {
            Some(node) => spans::seconds(&node, errors).map(Some),
            None => Some(None),
        };
        let mut signal = |node: &Node<'_>| {
            let table = node.table(errors, remedy)?;
            table.deny_others(&SIGNAL_KEYS, errors);
            self.signal(&table, errors)
        };
        let not_between = match table.get("not_between") {
            Some(node) => signal(&node).map(|asked| Some(asked.signal)),
            None => Some(None),
        };
        let list = list?;
        let steps: Vec<Option<_>> = list.iter().map(signal).collect();
        let mut steps = steps.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
        let (first, then) = (steps.next()?, steps.map(|asked| asked.signal).collect::<Vec<_>>());
        let bound = Bound::AtLeast(Number::Uint(U256::from(then.len() + 1)));
        if then.is_empty() {
            errors.report(node, super::error::Problem::OneStep, remedy);
            return None;
        }
        let sequence = Sequence { then, within: within?, not_between: not_between?.map(Box::new) };
        let window = self.period.map_or(Window::Always, Window::Each);
        let meter = first.counted(Measure::Sequence(sequence), window);
        let meter = self.meters.place(meter, Some(bound));
        Some(EventLeaf { meter, bound })
    }
}

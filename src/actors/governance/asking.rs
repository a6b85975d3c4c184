//! When what a governor must say of its proposals is asked for: one that it refuses
//! must not keep the others waiting, and a chain that does not answer is not
//! asked all the time.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::U256;
use tokio::time::Instant;

use crate::chain::rpc::RpcError;

/// Proposals asked for in one round.
const ASK_AT_ONCE: usize = 16;
/// Pause after the chain did not answer.
const CHAIN_PAUSE: Duration = Duration::from_secs(3);
/// First and longest pause of a proposal that was refused: the node
/// may be a block behind, or the contract may never tell.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Refused proposals that are remembered; others are asked for with each round.
const REMEMBERED_MAX: usize = 1024;

/// What is remembered of earlier rounds.
#[derive(Debug, Default)]
pub struct Asking {
    refused: BTreeMap<U256, (Instant, Duration)>,
    failed: Option<(Instant, RpcError)>,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(in crate::actors) struct Answers {
    /// Answers by their proposals.
    pub(in crate::actors) learned: Vec<(U256, U256)>,
    /// Proposals that were refused for the first time, and why.
    pub(in crate::actors) refused: Vec<(U256, RpcError)>,
    /// Why the chain could not be asked.
    pub(in crate::actors) failed: Option<RpcError>,
}

impl Asking {
    /// Asks for those of `wanted`, proposals with what is asked of each, that are
    /// due. While the chain is left alone its failure is told again.
    pub(in crate::actors) async fn ask<T: Copy>(
        &mut self,
        wanted: &[(U256, T)],
        now: impl Fn() -> Instant,
        ask: impl AsyncFn(U256, T) -> Result<U256, RpcError>,
    ) -> Answers {
        let mut answers = Answers::default();
        if wanted.is_empty() {
            *self = Self::default();
            return answers;
        }
        if let Some((until, error)) = &self.failed
            && now() < *until
        {
            answers.failed = Some(error.clone());
            return answers;
        }
        self.failed = None;
        self.refused.retain(|refused, _| wanted.iter().any(|(proposal, _)| proposal == refused));
        let due: Vec<(U256, T)> = wanted
            .iter()
            .filter(|(proposal, _)| self.refused.get(proposal).is_none_or(|put| put.0 <= now()))
            .take(ASK_AT_ONCE)
            .copied()
            .collect();
        for (proposal, what) in due {
            match ask(proposal, what).await {
                Ok(answer) => {
                    self.refused.remove(&proposal);
                    answers.learned.push((proposal, answer));
                }
                // About this proposal, or this contract: others may be answered.
                Err(error) if is_about_the_call(&error) => {
                    if self.put_off(proposal, now()) {
                        answers.refused.push((proposal, error));
                    }
                }
                Err(error) => {
                    self.failed = Some((now() + CHAIN_PAUSE, error.clone()));
                    answers.failed = Some(error);
                    break;
                }
            }
        }
        answers
    }

    /// Returns whether it is the first time.
    fn put_off(&mut self, proposal: U256, now: Instant) -> bool {
        let before = self.refused.get(&proposal).map(|(_, pause)| *pause);
        if before.is_none() && self.refused.len() >= REMEMBERED_MAX {
            return false;
        }
        let pause = before.map_or(PAUSE_MIN, |pause| (pause * 2).min(PAUSE_MAX));
        self.refused.insert(proposal, (now + pause, pause));
        before.is_none()
    }
}

fn is_about_the_call(error: &RpcError) -> bool {
    error.semantic().is_some() || matches!(error, RpcError::Wrong { .. })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::cell::RefCell;

    use super::*;

    const REVERTING: u64 = 7;

    async fn round(asking: &mut Asking, now: Instant, down: bool) -> (Vec<u64>, Answers) {
        let wanted = [(U256::from(1), REVERTING), (U256::from(2), 8), (U256::from(3), 9)];
        let asked = RefCell::new(Vec::new());
        let answers = asking
            .ask(
                &wanted,
                || now,
                async |_, timepoint| {
                    asked.borrow_mut().push(timepoint);
                    if down {
                        return Err(RpcError::NoEndpoint { chain: "chain".to_owned() });
                    }
                    if timepoint == REVERTING {
                        let (endpoint, method) = ("e".into(), "eth_call".to_owned());
                        let reason = "no quorum(7)".to_owned();
                        return Err(RpcError::Wrong { endpoint, method, reason });
                    }
                    Ok(U256::from(timepoint * 100))
                },
            )
            .await;
        (asked.into_inner(), answers)
    }

    #[tokio::test]
    async fn a_refused_quorum_keeps_no_other_waiting_and_is_asked_for_seldom() {
        let mut asking = Asking::default();
        let start = Instant::now();
        let (asked, answers) = round(&mut asking, start, false).await;
        assert_eq!(asked, [REVERTING, 8, 9]);
        assert_eq!(
            answers.learned,
            [(U256::from(2), U256::from(800)), (U256::from(3), U256::from(900))]
        );
        assert_eq!(answers.refused.len(), 1);

        let (asked, _) = round(&mut asking, start, false).await;
        assert_eq!(asked, [8, 9]);
        let mut now = start;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            now += Duration::from_secs(pause);
            let (asked, answers) = round(&mut asking, now, false).await;
            assert!(asked.contains(&REVERTING), "after {pause} s more");
            assert!(answers.refused.is_empty(), "told once");
            let (asked, _) = round(&mut asking, now, false).await;
            assert!(!asked.contains(&REVERTING));
        }
    }

    #[tokio::test]
    async fn a_chain_that_does_not_answer_is_left_alone_and_goes_on_being_told_of() {
        let mut asking = Asking::default();
        let start = Instant::now();
        let (asked, answers) = round(&mut asking, start, true).await;
        assert_eq!((asked.len(), answers.failed.is_some()), (1, true));
        let (asked, answers) = round(&mut asking, start, false).await;
        assert_eq!((asked.len(), answers.failed.is_some()), (0, true));
        let (asked, answers) = round(&mut asking, start + CHAIN_PAUSE, false).await;
        assert_eq!((asked.len(), answers.failed.is_some()), (3, false));
    }
}

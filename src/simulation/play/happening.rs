//! What happens to the world: blocks, what the script says, and what follows from it.

use std::time::Duration;

use alloy::primitives::Address;

use super::{BLOCK_TIME, Due, GENESIS, Loss, What, World, lock};
use crate::{
    clock,
    simulation::{
        chain::{self, Act},
        node::Manner,
        script::Fate,
    },
    streams::{simulated::Image, subjects::StreamId},
};

/// How deep below the highest block that there ever was a reorg goes: within finality.
const REORG_DEPTH_MAX: u64 = 12;

impl World<'_> {
    /// Lets it happen. Tells how long the daemon is down, if it is killed by it.
    pub(super) fn happens(&mut self, due: Due) -> Option<(Duration, Loss)> {
        match due {
            Due::Block => self.block(),
            Due::What(what) => return self.scripted(what),
            Due::BrokerIsBack | Due::BrokerAnswers => {
                self.server.lose_answers(0);
                self.server.come_up();
            }
            Due::EndpointIsHonest(endpoint) => self.behave(endpoint, Manner::Honest),
            Due::ContractGoesOn => drop(lock(&self.chain).act(Act::Unpause)),
            Due::DiskHasRoom => self.disk.fill(false),
        }
        None
    }

    fn block(&mut self) {
        let timestamp = GENESIS + self.now.as_secs();
        lock(&self.chain).mine(timestamp, usize::MAX);
        for endpoint in &self.endpoints {
            endpoint.mined(timestamp);
        }
        self.plan(self.now + BLOCK_TIME, Due::Block);
    }

    fn behave(&self, endpoint: usize, manner: Manner) {
        if let Some(endpoint) = self.endpoints.get(endpoint) {
            endpoint.behave(manner);
        }
    }

    fn scripted(&mut self, what: What) -> Option<(Duration, Loss)> {
        let soon = |now: Duration, ms: u64| now + Duration::from_millis(ms);
        *self.faults.entry(kind(&what)).or_default() += 1;
        match what {
            What::Propose(member) => self.act(Act::Propose { who: of(member) }),
            What::Vote { member, proposal, support, params } => {
                self.act(Act::Vote { who: of(member), proposal, support, params });
            }
            What::Badge(member) => self.act(Act::MintBadge { to: of(member) }),
            What::Pass(token, member) => self.act(Act::PassBadge { token, to: of(member) }),
            What::Contribute(member, amount) => {
                self.act(Act::Contribute { who: of(member), amount });
            }
            What::Reorg { depth, fate, at_once } => self.reorg(depth, fate, at_once),
            What::ForgetPool => lock(&self.chain).drop_pool(),
            What::BaseFee(gwei) => lock(&self.chain).set_base_fee(gwei * 1_000_000_000),
            What::ForeignNonce => self.act(Act::ForeignNonce { from: self.setup.signer }),
            What::PauseContract(for_ms) => {
                self.act(Act::Pause);
                self.plan(soon(self.now, for_ms), Due::ContractGoesOn);
            }
            What::Kill(down_ms, loss) => return Some((Duration::from_millis(down_ms), loss)),
            What::BrokerDown(for_ms, loss) => {
                self.server.go_down();
                match (loss, &self.copies) {
                    (Loss::Everything, _) => self.server.restore(Image::default()),
                    (Loss::SinceCopy, Some((_, image))) => self.server.restore(image.clone()),
                    _ => {}
                }
                self.plan(soon(self.now, for_ms), Due::BrokerIsBack);
            }
            What::BrokerPaused(for_ms) => {
                self.server.pause();
                self.plan(soon(self.now, for_ms), Due::BrokerAnswers);
            }
            What::BrokerLosesAnswers(per_mille, for_ms) => {
                self.server.lose_answers(per_mille);
                self.plan(soon(self.now, for_ms), Due::BrokerAnswers);
            }
            What::MessageLost(stream, back) => self.lose_message(stream, back),
            What::StreamDeleted(stream) => {
                if let Some(stream) = StreamId::ALL.get(usize::from(stream)) {
                    self.server.delete_stream(*stream);
                }
            }
            What::Endpoint(endpoint, manner, for_ms) => {
                self.behave(endpoint, manner);
                self.plan(soon(self.now, for_ms), Due::EndpointIsHonest(endpoint));
            }
            What::DiskFull(for_ms) => {
                self.disk.fill(true);
                self.plan(soon(self.now, for_ms), Due::DiskHasRoom);
            }
            What::Copies => self.copies = Some((self.disk.image(), self.server.image())),
            What::ClockJumps(seconds) => {
                self.clock_error += seconds;
                if clock::simulated::now().is_some() {
                    self.set_clock();
                }
            }
        }
        None
    }

    pub(super) fn act(&mut self, act: Act) {
        // What makes no sense now is not done.
        let _ = lock(&self.chain).act(act);
    }

    fn reorg(&mut self, depth: u64, fate: Fate, at_once: bool) {
        let fate = match fate {
            Fate::Lost => chain::Fate::Lost,
            Fate::SameOrder => chain::Fate::SameOrder,
            Fate::Reversed => chain::Fate::Reversed,
        };
        let mut chain = lock(&self.chain);
        // Several in a row must not come to be deeper than one may be.
        self.highest = self.highest.max(chain.number());
        let lowest = self.highest.saturating_sub(REORG_DEPTH_MAX);
        let depth = depth.min(chain.number().saturating_sub(lowest));
        let gone = chain.reorg(depth, fate);
        if at_once {
            let head = GENESIS + self.now.as_secs();
            for back in (0..=gone).rev() {
                chain.mine(head.saturating_sub(back), usize::MAX);
            }
        }
    }

    fn lose_message(&mut self, stream: u8, back: u64) {
        let Some(stream) = StreamId::ALL.get(usize::from(stream)) else { return };
        let last = self.server.messages(*stream).last().map_or(0, |message| message.sequence);
        self.server.lose(*stream, last.saturating_sub(back));
    }
}

/// A member's address.
fn of(member: u8) -> Address {
    Address::repeat_byte(member)
}

fn kind(what: &What) -> &'static str {
    match what {
        What::Propose(_)
        | What::Vote { .. }
        | What::Badge(_)
        | What::Pass(..)
        | What::Contribute(..) => "acts",
        What::Reorg { .. } => "reorg",
        What::ForgetPool => "pool_forgotten",
        What::BaseFee(_) => "fees",
        What::ForeignNonce => "foreign_nonce",
        What::PauseContract(_) => "contract_paused",
        What::Kill(_, Loss::Nothing) => "daemon_killed",
        What::Kill(_, Loss::Unsynced) => "power_failed",
        What::Kill(_, Loss::SinceCopy) => "store_rolled_back",
        What::Kill(_, Loss::Everything) => "store_lost",
        What::BrokerDown(_, Loss::Nothing | Loss::Unsynced) => "broker_down",
        What::BrokerDown(_, Loss::SinceCopy) => "broker_rolled_back",
        What::BrokerDown(_, Loss::Everything) => "broker_lost",
        What::BrokerPaused(_) => "broker_paused",
        What::BrokerLosesAnswers(..) => "broker_answers_lost",
        What::MessageLost(..) => "message_lost",
        What::StreamDeleted(_) => "stream_deleted",
        What::Endpoint(_, manner, _) if manner.is_lie() => "endpoint_lies",
        What::Endpoint(..) => "endpoint_fails",
        What::DiskFull(_) => "disk_full",
        What::Copies => "copies",
        What::ClockJumps(_) => "clock_jumps",
    }
}

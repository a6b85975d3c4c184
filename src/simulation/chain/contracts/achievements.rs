//! Who has unlocked what: `AchievementManager`, with its roles and its pause.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolInterface as _, SolValue as _},
};

use super::{
    Call, Change as Any, DEED_GAS, Done, REVOKER_ROLE, Reverted, UNLOCKER_ROLE,
    abi::IAchievements as abi, error, log,
};
use crate::simulation::chain::{Deployment, state::State};

/// Ids that are defined.
const DEFINED: std::ops::RangeInclusive<u64> = 1..=7;
/// Gas of an achievement that is unlocked.
const UNLOCK_GAS: u64 = 50_000;
/// Gas of one that was unlocked before.
const SKIP_GAS: u64 = 5_000;
/// Gas of a call beside its achievements.
const CALL_GAS: u64 = 5_000;
/// An id stands in so many of a token's bits, below its holder.
const ID_BITS: usize = 96;

/// Its storage.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::chain) struct Achievements {
    /// A bit an achievement.
    held: BTreeMap<Address, u64>,
    roles: BTreeSet<(B256, Address)>,
    paused: bool,
}

/// A change of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::chain) enum Change {
    Held { user: Address, id: u64, has: bool },
    Role { role: B256, account: Address, has: bool },
    Paused(bool),
}

impl Achievements {
    /// With an admin who may do everything.
    pub(in crate::simulation::chain) fn new(admin: Address) -> Self {
        let all = [B256::ZERO, *UNLOCKER_ROLE, *REVOKER_ROLE];
        Self { roles: all.into_iter().map(|role| (role, admin)).collect(), ..Self::default() }
    }

    pub(in crate::simulation::chain) fn has(&self, user: Address, id: u64) -> bool {
        DEFINED.contains(&id) && self.held.get(&user).is_some_and(|held| held >> id & 1 == 1)
    }

    pub(in crate::simulation::chain) fn apply(&mut self, change: Change) {
        match change {
            Change::Held { user, id, has } => {
                let held = self.held.entry(user).or_default();
                *held = if has { *held | 1 << id } else { *held & !(1 << id) };
            }
            Change::Role { role, account, has: true } => {
                self.roles.insert((role, account));
            }
            Change::Role { role, account, has: false } => {
                self.roles.remove(&(role, account));
            }
            Change::Paused(paused) => self.paused = paused,
        }
    }

    fn has_any(&self, user: Address, id: U256) -> bool {
        u64::try_from(id).is_ok_and(|id| self.has(user, id))
    }

    fn require(&self, needed: B256, account: Address) -> Result<(), Reverted> {
        let lacking = || abi::AccessControlUnauthorizedAccount { account, neededRole: needed };
        let has = self.roles.contains(&(needed, account));
        if has { Ok(()) } else { Err(error(&lacking())) }
    }

    fn require_running(&self) -> Result<(), Reverted> {
        if self.paused { Err(error(&abi::EnforcedPause {})) } else { Ok(()) }
    }
}

/// Runs a call of it; `None` where it has no such function.
pub(super) fn run(
    state: &State,
    at: &Deployment,
    call: &Call<'_>,
) -> Option<Result<Done, Reverted>> {
    use abi::IAchievementsCalls as Calls;
    let (of, from) = (&state.achievements, call.from);
    let answer = match Calls::abi_decode(call.input).ok()? {
        Calls::unlockAchievement(it) => return Some(unlock(of, at, from, &it)),
        Calls::batchUnlockAchievements(it) => return Some(unlock_all(of, at, from, &it)),
        Calls::revokeAchievement(it) => return Some(revoke(of, at, from, it)),
        Calls::pause(_) => return Some(pause(of, at, from, true)),
        Calls::unpause(_) => return Some(pause(of, at, from, false)),
        Calls::grantRole(it) => return Some(set_role(of, at, from, it.role, it.account, true)),
        Calls::revokeRole(it) => return Some(set_role(of, at, from, it.role, it.account, false)),
        Calls::hasAchievement(it) => of.has_any(it.user, it.id).abi_encode(),
        Calls::isDefined(it) => defined(it.id).is_some().abi_encode(),
        Calls::tokenOf(it) if of.has_any(it.user, it.id) => token(it.user, it.id).abi_encode(),
        Calls::tokenOf(_) => U256::ZERO.abi_encode(),
        Calls::hasRole(it) => of.roles.contains(&(it.role, it.account)).abi_encode(),
        Calls::getRoleAdmin(_) | Calls::DEFAULT_ADMIN_ROLE(_) => B256::ZERO.abi_encode(),
        Calls::paused(_) => of.paused.abi_encode(),
        Calls::UNLOCKER_ROLE(_) => UNLOCKER_ROLE.abi_encode(),
        Calls::REVOKER_ROLE(_) => REVOKER_ROLE.abi_encode(),
    };
    Some(Ok(Done::answer(answer)))
}

fn defined(id: U256) -> Option<u64> {
    u64::try_from(id).ok().filter(|id| DEFINED.contains(id))
}

fn token(user: Address, id: U256) -> U256 {
    U256::from_be_slice(user.as_slice()) << ID_BITS | id
}

fn unlock(
    of: &Achievements,
    at: &Deployment,
    from: Address,
    it: &abi::unlockAchievementCall,
) -> Result<Done, Reverted> {
    of.require_running()?;
    of.require(*UNLOCKER_ROLE, from)?;
    let abi::unlockAchievementCall { user, id, proofData } = it;
    let mut done = Done { gas: CALL_GAS, ..Done::default() };
    if !unlock_one(of, at, &mut done, &mut BTreeSet::new(), (*user, *id), proofData)? {
        return Err(error(&abi::AchievementAlreadyUnlocked { user: *user, id: *id }));
    }
    Ok(done)
}

fn unlock_all(
    of: &Achievements,
    at: &Deployment,
    from: Address,
    it: &abi::batchUnlockAchievementsCall,
) -> Result<Done, Reverted> {
    of.require_running()?;
    of.require(*UNLOCKER_ROLE, from)?;
    let lengths = [it.users.len(), it.ids.len(), it.proofs.len()];
    if lengths.iter().any(|length| *length != it.users.len()) {
        let [users, ids, proofs] = lengths.map(U256::from);
        return Err(error(&abi::LengthMismatch { users, ids, proofs }));
    }
    if it.users.is_empty() {
        return Err(error(&abi::EmptyBatch {}));
    }
    let mut done = Done { gas: CALL_GAS, ..Done::default() };
    let mut fresh = BTreeSet::new();
    for ((user, id), proof) in it.users.iter().zip(&it.ids).zip(&it.proofs) {
        if !unlock_one(of, at, &mut done, &mut fresh, (*user, *id), proof)? {
            done.gas += SKIP_GAS;
            let skipped = abi::AchievementSkipped { user: *user, id: *id };
            done.logs.push(log(at.achievements, &skipped));
        }
    }
    Ok(done)
}

/// Whether it was not unlocked before, in this call neither.
fn unlock_one(
    of: &Achievements,
    at: &Deployment,
    done: &mut Done,
    fresh: &mut BTreeSet<(Address, u64)>,
    (user, id): (Address, U256),
    proof: &alloy::primitives::Bytes,
) -> Result<bool, Reverted> {
    if user.is_zero() {
        return Err(error(&abi::InvalidUser { user }));
    }
    let Some(number) = defined(id) else {
        return Err(error(&abi::AchievementNotDefined { id }));
    };
    if of.has(user, number) || !fresh.insert((user, number)) {
        return Ok(false);
    }
    let (token, proof) = (token(user, id), proof.clone());
    let event = abi::AchievementUnlocked { user, id, tokenId: token, proofData: proof };
    done.gas += UNLOCK_GAS;
    done.logs.push(log(at.achievements, &event));
    done.changes.push(Any::Achievements(Change::Held { user, id: number, has: true }));
    Ok(true)
}

fn revoke(
    of: &Achievements,
    at: &Deployment,
    from: Address,
    it: abi::revokeAchievementCall,
) -> Result<Done, Reverted> {
    of.require_running()?;
    of.require(*REVOKER_ROLE, from)?;
    let abi::revokeAchievementCall { user, id, reason } = it;
    let Some(number) = defined(id).filter(|id| of.has(user, *id)) else {
        return Err(error(&abi::AchievementNotUnlocked { user, id }));
    };
    let event = abi::AchievementRevoked { user, id, tokenId: token(user, id), reason };
    let change = Change::Held { user, id: number, has: false };
    Ok(Done::deed(at.achievements, &event, Some(Any::Achievements(change))))
}

fn pause(
    of: &Achievements,
    at: &Deployment,
    from: Address,
    pauses: bool,
) -> Result<Done, Reverted> {
    of.require(B256::ZERO, from)?;
    let change = Some(Any::Achievements(Change::Paused(pauses)));
    match (pauses, of.paused) {
        (true, true) => Err(error(&abi::EnforcedPause {})),
        (false, false) => Err(error(&abi::ExpectedPause {})),
        (true, false) => Ok(Done::deed(at.achievements, &abi::Paused { account: from }, change)),
        (false, true) => Ok(Done::deed(at.achievements, &abi::Unpaused { account: from }, change)),
    }
}

fn set_role(
    of: &Achievements,
    at: &Deployment,
    from: Address,
    role: B256,
    account: Address,
    has: bool,
) -> Result<Done, Reverted> {
    of.require(B256::ZERO, from)?;
    if of.roles.contains(&(role, account)) == has {
        return Ok(Done { gas: DEED_GAS, ..Done::default() });
    }
    let change = Some(Any::Achievements(Change::Role { role, account, has }));
    let (contract, sender) = (at.achievements, from);
    Ok(match has {
        true => Done::deed(contract, &abi::RoleGranted { role, account, sender }, change),
        false => Done::deed(contract, &abi::RoleRevoked { role, account, sender }, change),
    })
}

//! A plain ERC-721, minted by the admin.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, U256, fixed_bytes},
    sol_types::{SolInterface as _, SolValue as _},
};

use super::{Call, Change as Any, Done, Reverted, abi::IBadge as abi, error};
use crate::simulation::chain::{Deployment, state::State};

/// Its storage.
#[derive(Clone, Debug, Default)]
pub(in crate::simulation::chain) struct Badge {
    owners: BTreeMap<u64, Address>,
    last: u64,
}

/// Who has a token now; nobody, once it is burned.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::chain) struct Change {
    token: u64,
    owner: Option<Address>,
}

impl Badge {
    pub(in crate::simulation::chain) fn owner(&self, token: u64) -> Option<Address> {
        self.owners.get(&token).copied()
    }

    pub(in crate::simulation::chain) fn balance(&self, owner: Address) -> u64 {
        self.owners.values().filter(|it| **it == owner).count() as u64
    }

    pub(in crate::simulation::chain) fn apply(&mut self, Change { token, owner }: Change) {
        self.last = self.last.max(token);
        match owner {
            Some(owner) => self.owners.insert(token, owner),
            None => self.owners.remove(&token),
        };
    }

    fn owner_of(&self, id: U256) -> Result<(u64, Address), Reverted> {
        let token = u64::try_from(id).ok();
        let owned = token.and_then(|token| Some((token, self.owner(token)?)));
        owned.ok_or_else(|| error(&abi::ERC721NonexistentToken { tokenId: id }))
    }
}

/// Runs a call of it; `None` where it has no such function.
pub(super) fn run(
    state: &State,
    at: &Deployment,
    call: &Call<'_>,
) -> Option<Result<Done, Reverted>> {
    use abi::IBadgeCalls as Calls;
    let of = &state.badge;
    let answer = match Calls::abi_decode(call.input).ok()? {
        Calls::mint(it) => return Some(mint(of, at, call.from, it.to)),
        Calls::burn(it) => return Some(burn(of, at, call.from, it.tokenId)),
        Calls::transferFrom(it) => return Some(pass(of, at, call.from, &it)),
        Calls::balanceOf(it) if it.owner.is_zero() => {
            return Some(Err(error(&abi::ERC721InvalidOwner { owner: it.owner })));
        }
        Calls::balanceOf(it) => U256::from(of.balance(it.owner)).abi_encode(),
        Calls::ownerOf(it) => match of.owner_of(it.tokenId) {
            Ok((_, owner)) => owner.abi_encode(),
            Err(reverted) => return Some(Err(reverted)),
        },
        // ERC-165, ERC-721 and its metadata.
        Calls::supportsInterface(it) => {
            let known =
                [fixed_bytes!("01ffc9a7"), fixed_bytes!("80ac58cd"), fixed_bytes!("5b5e139f")];
            known.contains(&it.interfaceId).abi_encode()
        }
        Calls::owner(_) => at.admin.abi_encode(),
        Calls::name(_) => "Badge".abi_encode(),
        Calls::symbol(_) => "BDG".abi_encode(),
    };
    Some(Ok(Done::answer(answer)))
}

fn moved(at: &Deployment, token: u64, from: Address, to: Address) -> Done {
    let event = abi::Transfer { from, to, tokenId: U256::from(token) };
    let owner = (!to.is_zero()).then_some(to);
    Done::deed(at.badge, &event, Some(Any::Badge(Change { token, owner })))
}

fn mint(of: &Badge, at: &Deployment, from: Address, to: Address) -> Result<Done, Reverted> {
    if from != at.admin {
        return Err(error(&abi::OwnableUnauthorizedAccount { account: from }));
    }
    if to.is_zero() {
        return Err(error(&abi::ERC721InvalidReceiver { receiver: to }));
    }
    let token = of.last + 1;
    Ok(moved(at, token, Address::ZERO, to).giving(U256::from(token).abi_encode()))
}

fn burn(of: &Badge, at: &Deployment, from: Address, id: U256) -> Result<Done, Reverted> {
    let (token, owner) = of.owner_of(id)?;
    if owner != from {
        return Err(error(&abi::ERC721InsufficientApproval { operator: from, tokenId: id }));
    }
    Ok(moved(at, token, owner, Address::ZERO))
}

fn pass(
    of: &Badge,
    at: &Deployment,
    operator: Address,
    it: &abi::transferFromCall,
) -> Result<Done, Reverted> {
    let abi::transferFromCall { from, to, tokenId } = *it;
    if to.is_zero() {
        return Err(error(&abi::ERC721InvalidReceiver { receiver: to }));
    }
    let (token, owner) = of.owner_of(tokenId)?;
    if owner != operator {
        return Err(error(&abi::ERC721InsufficientApproval { operator, tokenId }));
    }
    if owner != from {
        return Err(error(&abi::ERC721IncorrectOwner { sender: from, tokenId, owner }));
    }
    Ok(moved(at, token, from, to))
}

//! A contract that emits as many events as a call asks for: one transaction fills a block,
//! and it is not the node that is measured.

use alloy::{
    primitives::{Address, U256, hex},
    sol,
    sol_types::SolEvent as _,
};
use meritd::cli::demo::anvil::Anvil;
use serde_json::{Value as Json, json};

use super::Outcome;

sol! {
    /// What it emits; `amount` is 0.
    event Noted(address indexed member, uint256 amount);
}

/// Fills blocks.
pub const LOAD: Address = Address::repeat_byte(0x1f);
/// Has an event that earns somebody something.
pub const PROBE: Address = Address::repeat_byte(0x2f);

/// Its ABI, as a configuration names it.
pub const ABI: &str = r#"[{"type":"event","name":"Noted","anonymous":false,"inputs":[
{"name":"member","type":"address","indexed":true,"internalType":"address"},
{"name":"amount","type":"uint256","indexed":false,"internalType":"uint256"}]}]"#;

/// Events of one transaction, by the gas that it may use.
pub const MOST: u64 = 4_000;

/// `for (i = count; i > 0; i--) emit Noted(first + i, 0)` for two words of call data.
fn code() -> String {
    [
        "0x600035", // PUSH1 0, CALLDATALOAD: i
        "5b80156",  // 3: JUMPDEST, DUP1, ISZERO,
        "03b57",    // PUSH1 59, JUMPI
        "80602035", // DUP1, PUSH1 32, CALLDATALOAD,
        "017f",     // ADD, PUSH32
        &hex::encode(Noted::SIGNATURE_HASH),
        "60206000a2", // PUSH1 32, PUSH1 0, LOG2
        "60019003",   // PUSH1 1, SWAP1, SUB
        "600356",     // PUSH1 3, JUMP
        "5b00",       // 59: JUMPDEST, STOP
    ]
    .concat()
}

/// Puts the two contracts where they belong.
pub async fn install(anvil: &Anvil) -> Outcome<()> {
    for place in [LOAD, PROBE] {
        anvil.call::<Json>("anvil_setCode", json!([place, code()])).await?;
    }
    Ok(())
}

/// Sends a call that emits `count` events, of the members from `first` on.
pub async fn emit(anvil: &Anvil, at: Address, first: U256, count: u64) -> Outcome<()> {
    let data = [U256::from(count).to_be_bytes::<32>(), first.to_be_bytes::<32>()].concat();
    // Accounts by turns: none waits for its nonce.
    anvil.submit(anvil.account(usize::from(at == LOAD)), Some(at), data).await?;
    Ok(())
}

/// The member of the first event of a call.
pub fn member(first: U256) -> Address {
    Address::from_word((first + U256::from(1)).into())
}

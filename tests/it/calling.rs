//! Calls of contracts that know nothing of achievements: a rule gives a role, and takes
//! it back, through OpenZeppelin's AccessControl.

use std::fs;

use alloy::{
    primitives::{Address, B256, U256, keccak256},
    providers::Provider as _,
    rpc::types::TransactionRequest,
    sol,
    sol_types::SolCall as _,
};
use meritd::cli::demo::{
    contracts::{IBadge, ITimelock},
    world::World,
};

use crate::support::{self, Daemon, PATIENCE, until};

sol! {
    function hasRole(bytes32 role, address account) returns (bool);
}

const ROLE: &str = "CURATOR_ROLE";

const RULES: &str = r#"
id = "curators"
signer = "awards"
achievements_contract = "roles"

[[achievements]]
name = "curator"
id = 1
mode = "while"
when = { holds = { nft = "badge" } }
"#;

/// The NFT contract of the demo, whose roles the signer may give.
async fn setting(world: &World) -> Daemon {
    let daemon = Daemon::of(world).await;
    let role = format!("{:#x}", keccak256(ROLE));
    let call = |name: &str| format!("{name}(bytes32 role = {role}, address account)");
    let contract = format!(
        "\n[[contracts]]\nname = \"roles\"\nchain = \"local\"\nkind = \"achievements\"\n\
         address = \"{}\"\n\
         calls = {{ unlock = \"{}\", has = \"{}\", revoke = \"{}\" }}\n",
        world.achievement_nft,
        call("grantRole"),
        call("hasRole"),
        call("revokeRole"),
    );
    let file = daemon.setting.config().join("development.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &contract).unwrap();
    fs::write(daemon.setting.config().join("rules/curators.toml"), RULES).unwrap();
    let grant = ITimelock::grantRoleCall { role: B256::ZERO, account: daemon.setting.signer() };
    world.admin_call("let the signer give roles", world.achievement_nft, grant).await.unwrap();
    daemon
}

async fn comes_to(world: &World, user: Address, has: bool) {
    let call = hasRoleCall { role: keccak256(ROLE), account: user };
    let request = TransactionRequest::default().to(world.achievement_nft);
    let request = request.input(call.abi_encode().into());
    let provider = world.anvil.provider();
    until(&format!("{user} has the role: {has}"), PATIENCE, async || {
        let answer = provider.call(request.clone()).await.unwrap();
        (hasRoleCall::abi_decode_returns(&answer).unwrap() == has).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_role_follows_what_is_held() {
    let world = support::world().await;
    let mut daemon = setting(&world).await;
    let (ada, bo) = (world.anvil.account(1), world.anvil.account(2));
    world.mint_badge(ada).await.unwrap();
    daemon.start().await;
    comes_to(&world, ada, true).await;
    comes_to(&world, bo, false).await;
    let token = U256::from(1);
    let sold = IBadge::transferFromCall { from: ada, to: bo, tokenId: token };
    world.member_call("sell", ada, world.badge, sold).await.unwrap();
    comes_to(&world, bo, true).await;
    comes_to(&world, ada, false).await;
    assert!(daemon.stop().await.success());
}

//! The reference contract on a real node: what it says of members, and what
//! an unlock costs.

use std::time::Duration;

use alloy::{
    primitives::{Address, Bytes, U256, keccak256},
    providers::Provider as _,
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::{SolCall, SolEvent as _},
};
use meritd::{
    cli::demo::{anvil::Mining, contracts::IAchievements, world::World},
    signing::calls::views,
};

mod abi {
    alloy::sol! {
        interface IManager {
            event AchievementSkipped(address indexed user, uint256 indexed id);
            function batchUnlockAchievements(address[] users, uint256[] ids, bytes[] proofs) external;
            function revokeAchievement(address user, uint256 id, bytes reason) external;
            function tokenOf(address user, uint256 id) external view returns (uint256);
        }
        interface INft {
            event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
            event Locked(uint256 tokenId);
            function mint(address to, uint256 achievementId) external returns (uint256, bool);
            function approve(address to, uint256 tokenId) external;
            function setApprovalForAll(address operator, bool approved) external;
            function getApproved(uint256 tokenId) external view returns (address);
            function transferFrom(address from, address to, uint256 tokenId) external;
            function balanceOf(address owner) external view returns (uint256);
            function ownerOf(uint256 tokenId) external view returns (address);
            function achievementOf(uint256 tokenId) external view returns (uint256);
            function tokenURI(uint256 tokenId) external view returns (string);
            function locked(uint256 tokenId) external view returns (bool);
            function holds(address member, uint256 achievementId) external view returns (bool);
        }
    }
}
use abi::{IManager, INft};

const BLOCK_TIME: Duration = Duration::from_millis(30);

/// Ids on both sides of where a member's words of bits meet, and the last one.
fn ids() -> [U256; 8] {
    let last = (U256::ONE << 96) - U256::ONE;
    let [a, b, c, d, e, f] = [0, 1, 223, 224, 479, 480].map(U256::from);
    [a, b, c, d, e, f, last - U256::ONE, last]
}

/// The contracts, and an admin who may unlock.
struct Place {
    world: World,
}

impl Place {
    async fn new() -> Self {
        let world = World::create(Mining::Every(BLOCK_TIME)).await.unwrap();
        world.appoint(world.admin).await.unwrap();
        let place = Self { world };
        for id in ids() {
            place
                .manager(IAchievements::defineAchievementCall { id, uri: format!("uri/{id}") })
                .await;
        }
        place
    }

    fn member(&self) -> Address {
        self.world.anvil.account(3)
    }

    async fn send(
        &self,
        from: Address,
        to: Address,
        call: impl SolCall,
    ) -> Result<TransactionReceipt, String> {
        let data = call.abi_encode();
        let sent = self.world.anvil.transact("a call", from, Some(to), data).await;
        sent.map_err(|error| error.to_string())
    }

    async fn manager(&self, call: impl SolCall) -> TransactionReceipt {
        self.send(self.world.admin, self.world.achievements, call).await.unwrap()
    }

    /// What a view says, or how it is refused.
    async fn read<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, String> {
        let request = TransactionRequest::default().to(to).input(call.abi_encode().into());
        let answer = self.world.anvil.provider().call(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        Ok(C::abi_decode_returns(&answer).unwrap())
    }

    async fn nft<C: SolCall>(&self, call: C) -> Result<C::Return, String> {
        self.read(self.world.achievement_nft, call).await
    }

    async fn token_of(&self, user: Address, id: U256) -> U256 {
        self.read(self.world.achievements, IManager::tokenOfCall { user, id }).await.unwrap()
    }

    async fn unlock(&self, user: Address, id: U256) -> Result<TransactionReceipt, String> {
        let call = IAchievements::unlockAchievementCall { user, id, proofData: Bytes::new() };
        self.send(self.world.admin, self.world.achievements, call).await
    }

    async fn batch(&self, targets: &[(Address, U256)]) -> TransactionReceipt {
        self.manager(IManager::batchUnlockAchievementsCall {
            users: targets.iter().map(|(user, _)| *user).collect(),
            ids: targets.iter().map(|(_, id)| *id).collect(),
            proofs: targets.iter().map(|_| Bytes::from([7; 32])).collect(),
        })
        .await
    }
}

#[tokio::test]
async fn a_member_holds_each_achievement_once_whatever_its_id() {
    let place = Place::new().await;
    let member = place.member();
    for (id, held) in ids().into_iter().zip(1..) {
        assert_eq!(place.token_of(member, id).await, U256::ZERO);
        place.unlock(member, id).await.unwrap();
        let token = place.token_of(member, id).await;
        assert_eq!(place.nft(INft::ownerOfCall { tokenId: token }).await.unwrap(), member);
        assert_eq!(place.nft(INft::achievementOfCall { tokenId: token }).await.unwrap(), id);
        assert_eq!(
            place.nft(INft::tokenURICall { tokenId: token }).await.unwrap(),
            format!("uri/{id}")
        );
        assert!(place.nft(INft::lockedCall { tokenId: token }).await.unwrap());
        let balance = place.nft(INft::balanceOfCall { owner: member }).await.unwrap();
        assert_eq!(balance, U256::from(held));
        place.unlock(member, id).await.unwrap_err();
    }
    let skipped = place.batch(&ids().map(|id| (member, id))).await;
    let told = skipped.logs().iter().map(|log| log.topic0().copied());
    assert!(told.eq(ids().map(|_| Some(IManager::AchievementSkipped::SIGNATURE_HASH))));
    assert_eq!(
        place.nft(INft::balanceOfCall { owner: place.world.anvil.account(4) }).await.unwrap(),
        U256::ZERO
    );
}

#[tokio::test]
async fn what_is_taken_back_is_gone_and_can_be_given_again() {
    let place = Place::new().await;
    let member = place.member();
    for id in ids() {
        place.unlock(member, id).await.unwrap();
    }
    for (id, left) in ids().into_iter().zip((0..ids().len()).rev()) {
        let token = place.token_of(member, id).await;
        let friend = place.world.anvil.account(4);
        let approve = INft::approveCall { to: friend, tokenId: token };
        place.send(member, place.world.achievement_nft, approve).await.unwrap();
        let revoke = || IManager::revokeAchievementCall { user: member, id, reason: Bytes::new() };
        place.manager(revoke()).await;
        assert_eq!(place.token_of(member, id).await, U256::ZERO);
        place.nft(INft::ownerOfCall { tokenId: token }).await.unwrap_err();
        let balance = place.nft(INft::balanceOfCall { owner: member }).await.unwrap();
        assert_eq!(balance, U256::from(left));
        place.send(place.world.admin, place.world.achievements, revoke()).await.unwrap_err();
        // The same token, without what was allowed for its earlier life.
        place.unlock(member, id).await.unwrap();
        assert_eq!(place.token_of(member, id).await, token);
        let approved = place.nft(INft::getApprovedCall { tokenId: token }).await.unwrap();
        assert_eq!(approved, Address::ZERO);
        place.manager(revoke()).await;
    }
}

#[tokio::test]
async fn nobody_moves_or_makes_a_token_but_the_manager() {
    let place = Place::new().await;
    let (member, thief, nft) =
        (place.member(), place.world.anvil.account(5), place.world.achievement_nft);
    let [zero, one, ..] = ids();
    place.unlock(member, one).await.unwrap();
    let held = place.token_of(member, one).await;
    let all = INft::setApprovalForAllCall { operator: thief, approved: true };
    place.send(member, nft, all).await.unwrap();
    // That of achievement 0, which the member does not have.
    let missing = held - U256::ONE;
    for (by, from, to, token) in [
        (member, member, thief, held),
        (member, member, member, held),
        (thief, member, thief, held),
        (thief, Address::ZERO, member, missing),
        (member, Address::ZERO, member, missing),
        (member, member, Address::ZERO, held),
        (thief, Address::ZERO, thief, U256::from(9)),
    ] {
        let call = INft::transferFromCall { from, to, tokenId: token };
        place.send(by, nft, call).await.unwrap_err();
    }
    let mint = INft::mintCall { to: thief, achievementId: one };
    place.send(thief, nft, mint).await.unwrap_err();
    assert_eq!(place.nft(INft::ownerOfCall { tokenId: held }).await.unwrap(), member);
    assert_eq!(place.token_of(member, zero).await, U256::ZERO);
    assert_eq!(place.token_of(thief, one).await, U256::ZERO);
}

#[tokio::test]
async fn an_achievement_whose_id_has_no_room_in_a_token_is_refused() {
    let place = Place::new().await;
    let id = U256::ONE << 96;
    let define = IAchievements::defineAchievementCall { id, uri: "too large".into() };
    place.send(place.world.admin, place.world.achievements, define).await.unwrap_err();
    place.unlock(place.member(), id).await.unwrap_err();
    assert!(
        !place.nft(INft::holdsCall { member: place.member(), achievementId: id }).await.unwrap()
    );
    assert_eq!(place.token_of(place.member(), id).await, U256::ZERO);
}

#[tokio::test]
async fn an_unlock_in_a_batch_costs_six_tenths_of_a_single_one_at_most() {
    let place = Place::new().await;
    let user = |number: u64| Address::from_word(keccak256(number.to_be_bytes()));
    let [first, second, ..] = ids();
    let mut ratios = Vec::new();
    // Members' first achievements, and further ones.
    for id in [first, second] {
        let single = place.unlock(user(0), id).await.unwrap().gas_used;
        let targets: Vec<_> = (1..=50).map(|number| (user(number), id)).collect();
        let batched = place.batch(&targets).await.gas_used / 50;
        assert!(batched * 10 <= single * 6, "{batched} of {single}");
        ratios.push((batched, single));
    }
    // The second one writes no new slot.
    assert!(ratios[1].0 < ratios[0].0 / 2 + 3_000, "{ratios:?}");
}

#[tokio::test]
async fn many_questions_are_answered_by_one_call() {
    let place = Place::new().await;
    let (member, contract) = (place.member(), place.world.achievements);
    let [zero, one, ..] = ids();
    place.unlock(member, one).await.unwrap();
    let has = |id| IAchievements::hasAchievementCall { user: member, id }.abi_encode().into();
    let other = INft::tokenURICall { tokenId: one }.abi_encode().into();
    let questions = vec![has(one), has(zero), other, Bytes::new(), has(one)];
    let ask = async |to: Address, questions: Vec<Bytes>| {
        let code = views::ask(to, questions);
        let request = TransactionRequest::default().input(code.into());
        place.world.anvil.provider().call(request).await.unwrap()
    };
    let word = |text: u8| Some(U256::from(text).to_be_bytes::<32>());
    let given = ask(contract, questions).await;
    let answers = views::answers(&given, 5).unwrap();
    let answers: Vec<_> =
        answers.into_iter().map(|it| it.map(|it| it.try_into().unwrap())).collect();
    assert_eq!(answers, [word(1), word(0), None, None, word(1)]);
    // Nobody is there.
    let given = ask(Address::repeat_byte(9), vec![has(one), has(one)]).await;
    assert_eq!(views::answers(&given, 2).unwrap(), [None, None]);
    let most = ask(contract, vec![has(one); views::QUESTIONS_MAX]).await;
    let answers = views::answers(&most, views::QUESTIONS_MAX).unwrap();
    assert!(answers.iter().all(|it| it.is_some_and(|it| it.ends_with(&[1]))));
}

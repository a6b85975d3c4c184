// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {AchievementNFT} from "./AchievementNFT.sol";

/// @title Who has unlocked what
/// @notice One token per member and achievement. The daemon unlocks; an admin defines achievements and pauses.
/// @dev Needs MINTER_ROLE on its token contract before the first definition.
contract AchievementManager is AccessControl, Pausable {
    /// @notice May unlock achievements.
    bytes32 public constant UNLOCKER_ROLE = keccak256("UNLOCKER_ROLE");
    /// @notice May take achievements back.
    bytes32 public constant REVOKER_ROLE = keccak256("REVOKER_ROLE");

    /// @notice The token contract; never changes, so a token id always means the same.
    AchievementNFT public immutable nft;

    mapping(uint256 achievementId => bool) private _defined;

    /// @notice An achievement was defined, or its URI changed.
    event AchievementDefined(uint256 indexed id, string uri);
    /// @notice A member got an achievement; `proofData` says why, in the words of whoever unlocked it.
    event AchievementUnlocked(address indexed user, uint256 indexed id, uint256 tokenId, bytes proofData);
    /// @notice A batch named an achievement that the member already had.
    event AchievementSkipped(address indexed user, uint256 indexed id);
    /// @notice An achievement was taken back and its token burned.
    event AchievementRevoked(address indexed user, uint256 indexed id, uint256 tokenId, bytes reason);

    /// @notice The member has it already.
    error AchievementAlreadyUnlocked(address user, uint256 id);
    /// @notice No admin has defined this achievement.
    error AchievementNotDefined(uint256 id);
    /// @notice The member does not have it, so it can't be taken back.
    error AchievementNotUnlocked(address user, uint256 id);
    /// @notice Nobody can hold a token at this address.
    error InvalidUser(address user);
    /// @notice The arrays of a batch must be of one length.
    error LengthMismatch(uint256 users, uint256 ids, uint256 proofs);
    /// @notice A batch without entries is a mistake of the caller, not a success.
    error EmptyBatch();

    constructor(address admin, AchievementNFT nft_) {
        nft = nft_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Defines an achievement (an id below 2^96), or changes the URI of one already defined; what is unlocked stays.
    function defineAchievement(uint256 id, string calldata uri) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _defined[id] = true;
        nft.setAchievementURI(id, uri);
        emit AchievementDefined(id, uri);
    }

    /// @notice Unlocks one achievement. A second unlock reverts by a named error, so a repeated send can't mint twice
    /// and its sender can tell "done before" from "not done".
    function unlockAchievement(address user, uint256 id, bytes calldata proofData)
        external
        whenNotPaused
        onlyRole(UNLOCKER_ROLE)
    {
        if (!_unlock(user, id, proofData)) revert AchievementAlreadyUnlocked(user, id);
    }

    /// @notice Unlocks many. Entries already unlocked are skipped, so that one repeated entry doesn't cost the others;
    /// an undefined achievement or an invalid member is a mistake and reverts the whole batch.
    function batchUnlockAchievements(address[] calldata users, uint256[] calldata ids, bytes[] calldata proofs)
        external
        whenNotPaused
        onlyRole(UNLOCKER_ROLE)
    {
        if (users.length != ids.length || users.length != proofs.length) {
            revert LengthMismatch(users.length, ids.length, proofs.length);
        }
        if (users.length == 0) revert EmptyBatch();
        for (uint256 i = 0; i < users.length; ++i) {
            if (!_unlock(users[i], ids[i], proofs[i])) emit AchievementSkipped(users[i], ids[i]);
        }
    }

    /// @notice Takes an achievement back and burns its token. It can be unlocked again, with the same token id.
    function revokeAchievement(address user, uint256 id, bytes calldata reason)
        external
        whenNotPaused
        onlyRole(REVOKER_ROLE)
    {
        uint256 tokenId = tokenOf(user, id);
        if (tokenId == 0) revert AchievementNotUnlocked(user, id);
        nft.burn(tokenId);
        emit AchievementRevoked(user, id, tokenId, reason);
    }

    /// @notice Stops unlocking and revoking.
    function pause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _pause();
    }

    /// @notice Lets unlocking and revoking go on.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    /// @notice Whether the member has the achievement now.
    function hasAchievement(address user, uint256 id) external view returns (bool) {
        return nft.holds(user, id);
    }

    /// @notice Whether an admin has defined the achievement.
    function isDefined(uint256 id) external view returns (bool) {
        return _defined[id];
    }

    /// @notice The member's token for the achievement; 0 when there is none.
    function tokenOf(address user, uint256 id) public view returns (uint256) {
        return nft.holds(user, id) ? nft.tokenIdOf(user, id) : 0;
    }

    /// @dev Whether it was not unlocked before.
    function _unlock(address user, uint256 id, bytes calldata proofData) private returns (bool isNew) {
        if (user == address(0)) revert InvalidUser(user);
        if (!_defined[id]) revert AchievementNotDefined(id);
        uint256 tokenId;
        (tokenId, isNew) = nft.mint(user, id);
        if (isNew) emit AchievementUnlocked(user, id, tokenId, proofData);
    }
}

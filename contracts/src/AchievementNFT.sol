// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IERC5192} from "./IERC5192.sol";

/// @title The token a member holds for an achievement
/// @notice Soulbound by ERC-5192: every token is locked from its mint to its burn.
/// @dev Decides nothing about who deserves a token: that is the work of the holder of MINTER_ROLE, the AchievementManager.
///
/// A token that never moves needs neither an owner's slot nor one for what it stands for: its id says both, and a bit
/// says whether it exists. So a member's first achievement costs one new slot, and the further ones change it.
contract AchievementNFT is ERC721, AccessControl, IERC5192 {
    /// @notice May mint, burn and set what achievements link to.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");

    // The low bits of a member's first word count all tokens; the rest of it, and the words after it, have a bit an
    // achievement.
    uint256 private constant COUNT_BITS = 32;
    uint256 private constant IDS_OF_FIRST_WORD = 256 - COUNT_BITS;
    uint256 private constant ID_BITS = 96;

    mapping(address member => mapping(uint256 word => uint256 bits)) private _held;
    // One URI an achievement, not one a token: a mint then writes no string.
    mapping(uint256 achievementId => string) private _achievementURI;

    /// @notice The token belongs to its first holder and can't be transferred.
    error Soulbound(uint256 tokenId);
    /// @notice Achievements have ids below 2^96.
    error AchievementIdTooLarge(uint256 achievementId);

    constructor(string memory name_, string memory symbol_, address admin) ERC721(name_, symbol_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Mints the member's token for the achievement, unless the member holds it.
    /// @dev Not a safe mint: a member's contract wallet need not know ERC-721 receivers to be honoured, and no foreign code
    /// runs in the middle of a batch.
    function mint(address to, uint256 achievementId)
        external
        onlyRole(MINTER_ROLE)
        returns (uint256 tokenId, bool isNew)
    {
        tokenId = tokenIdOf(to, achievementId);
        if (_ownerOf(tokenId) != address(0)) return (tokenId, false);
        _mint(to, tokenId);
        emit Locked(tokenId);
        return (tokenId, true);
    }

    /// @notice Burns a token without its holder's consent: a revoked achievement must not stay visible.
    function burn(uint256 tokenId) external onlyRole(MINTER_ROLE) {
        _burn(tokenId);
    }

    /// @notice Sets what all tokens of an achievement link to.
    function setAchievementURI(uint256 achievementId, string calldata uri) external onlyRole(MINTER_ROLE) {
        _requireId(achievementId);
        _achievementURI[achievementId] = uri;
    }

    /// @notice The id that the member's token for the achievement has, or would have. Never 0 for anybody who can hold one.
    function tokenIdOf(address member, uint256 achievementId) public pure returns (uint256) {
        _requireId(achievementId);
        return (uint256(uint160(member)) << ID_BITS) | achievementId;
    }

    /// @notice Whether the member holds the achievement's token.
    function holds(address member, uint256 achievementId) external view returns (bool) {
        if (achievementId >> ID_BITS != 0) return false;
        return _ownerOf(tokenIdOf(member, achievementId)) != address(0);
    }

    /// @notice The achievement a token stands for. Reverts for a token that does not exist.
    function achievementOf(uint256 tokenId) external view returns (uint256) {
        _requireOwned(tokenId);
        return _achievementIdOf(tokenId);
    }

    /// @inheritdoc ERC721
    function balanceOf(address owner) public view override returns (uint256) {
        if (owner == address(0)) revert ERC721InvalidOwner(address(0));
        return _held[owner][0] & ((1 << COUNT_BITS) - 1);
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        return _achievementURI[_achievementIdOf(tokenId)];
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, AccessControl) returns (bool) {
        return interfaceId == type(IERC5192).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev Whom the id names, if the token exists.
    function _ownerOf(uint256 tokenId) internal view override returns (address) {
        address member = address(uint160(tokenId >> ID_BITS));
        (uint256 word, uint256 bit) = _placeOf(_achievementIdOf(tokenId));
        return _held[member][word] & bit == 0 ? address(0) : member;
    }

    /// @dev All ways to mint, move and burn a token pass here, so one check covers each overload of transferFrom. In
    /// place of what ERC721 stores; a mint's `to` is always whom the id names.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = _ownerOf(tokenId);
        if (auth != address(0)) _checkAuthorized(from, auth, tokenId);
        if (to != address(0) && from != address(0)) revert Soulbound(tokenId);
        (uint256 word, uint256 bit) = _placeOf(_achievementIdOf(tokenId));
        if (to != address(0)) {
            _held[to][word] |= bit;
            _held[to][0] += 1;
        } else if (from != address(0)) {
            _approve(address(0), tokenId, address(0), false);
            _held[from][word] ^= bit;
            _held[from][0] -= 1;
        }
        emit Transfer(from, to, tokenId);
    }

    function _requireId(uint256 achievementId) private pure {
        if (achievementId >> ID_BITS != 0) revert AchievementIdTooLarge(achievementId);
    }

    function _achievementIdOf(uint256 tokenId) private pure returns (uint256) {
        return tokenId & ((1 << ID_BITS) - 1);
    }

    /// @dev Which word of a member's, and which bit of it.
    function _placeOf(uint256 achievementId) private pure returns (uint256 word, uint256 bit) {
        if (achievementId < IDS_OF_FIRST_WORD) return (0, 1 << (COUNT_BITS + achievementId));
        uint256 beyond = achievementId - IDS_OF_FIRST_WORD;
        return (1 + beyond / 256, 1 << (beyond % 256));
    }
}

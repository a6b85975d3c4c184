// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IERC5192} from "./IERC5192.sol";

/// @title The token a member holds for an achievement
/// @notice Soulbound by ERC-5192: every token is locked from its mint to its burn.
/// @dev Decides nothing about who deserves a token: that is the work of the holder of MINTER_ROLE, the AchievementManager.
contract AchievementNFT is ERC721, AccessControl, IERC5192 {
    /// @notice May mint, burn and set what achievements link to.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");

    uint256 private _lastTokenId;
    mapping(uint256 tokenId => uint256) private _achievementOf;
    // One URI an achievement, not one a token: a mint then writes no string.
    mapping(uint256 achievementId => string) private _achievementURI;

    /// @notice The token belongs to its first holder and can't be transferred.
    error Soulbound(uint256 tokenId);

    constructor(string memory name_, string memory symbol_, address admin) ERC721(name_, symbol_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Mints the next token id; ids start at 1, so that 0 can mean "none".
    /// @dev Not a safe mint: a member's contract wallet need not know ERC-721 receivers to be honoured, and no foreign code
    /// runs in the middle of a batch.
    function mint(address to, uint256 achievementId) external onlyRole(MINTER_ROLE) returns (uint256 tokenId) {
        tokenId = ++_lastTokenId;
        _achievementOf[tokenId] = achievementId;
        _mint(to, tokenId);
        emit Locked(tokenId);
    }

    /// @notice Burns a token without its holder's consent: a revoked achievement must not stay visible.
    function burn(uint256 tokenId) external onlyRole(MINTER_ROLE) {
        _burn(tokenId);
        delete _achievementOf[tokenId];
    }

    /// @notice Sets what all tokens of an achievement link to.
    function setAchievementURI(uint256 achievementId, string calldata uri) external onlyRole(MINTER_ROLE) {
        _achievementURI[achievementId] = uri;
    }

    /// @notice The achievement a token stands for. Reverts for a token that does not exist.
    function achievementOf(uint256 tokenId) external view returns (uint256) {
        _requireOwned(tokenId);
        return _achievementOf[tokenId];
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @inheritdoc ERC721
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        return _achievementURI[_achievementOf[tokenId]];
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view override(ERC721, AccessControl) returns (bool) {
        return interfaceId == type(IERC5192).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev All ways to move a token pass here, so one check covers each overload of transferFrom.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address) {
        if (to != address(0) && _ownerOf(tokenId) != address(0)) revert Soulbound(tokenId);
        return super._update(to, tokenId, auth);
    }
}

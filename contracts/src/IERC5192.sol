// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Minimal soulbound tokens, ERC-5192
/// @notice Interface id 0xb45a3c0e. The token id of the events is not indexed: the standard wants it so.
interface IERC5192 {
    /// @notice The token can't be transferred from now on.
    event Locked(uint256 tokenId);

    /// @notice The token can be transferred from now on.
    event Unlocked(uint256 tokenId);

    /// @notice Whether the token is locked. Reverts for a token that does not exist.
    function locked(uint256 tokenId) external view returns (bool);
}

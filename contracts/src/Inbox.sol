// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A contract of no known standard
/// @notice Its event shows how the daemon follows any contract by its ABI alone.
contract Inbox {
    /// @notice A member says what they gave, and to which topic.
    event Contributed(address indexed member, bytes32 indexed topic, uint256 amount, string note);

    /// @notice Records a contribution of the caller.
    function contribute(bytes32 topic, uint256 amount, string calldata note) external {
        emit Contributed(msg.sender, topic, amount, note);
    }
}

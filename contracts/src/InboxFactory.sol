// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Inbox} from "./Inbox.sol";

/// @title A contract that creates others
/// @notice Shows how the daemon follows contracts that are not there yet. What an inbox emits while it is created stands
/// before the event that tells of it, as with many factories.
contract InboxFactory {
    /// @notice There is another inbox.
    event InboxCreated(address indexed creator, address inbox);

    /// @notice Creates an inbox, which gets its first contribution at once.
    function create(string calldata note) external returns (Inbox inbox) {
        inbox = new Inbox();
        inbox.contribute("created", 1, note);
        emit InboxCreated(msg.sender, address(inbox));
    }
}

// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title A plain, transferable ERC-721
/// @notice Stands for any NFT of others whose holders have benefits: it is minted, moved and burned.
contract Badge is ERC721, Ownable {
    uint256 private _lastTokenId;

    constructor(string memory name_, string memory symbol_, address owner_) ERC721(name_, symbol_) Ownable(owner_) {}

    /// @notice Mints the next token id; ids start at 1.
    function mint(address to) external onlyOwner returns (uint256 tokenId) {
        tokenId = ++_lastTokenId;
        _mint(to, tokenId);
    }

    /// @notice Burns a token; only its holder or whom the holder approved.
    function burn(uint256 tokenId) external {
        _update(address(0), tokenId, _msgSender());
    }
}

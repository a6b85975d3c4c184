//! Errors that are known without an ABI, and what may be done about each.

use alloy::sol_types::PanicKind;

use super::RevertClass::{self, Business, Permanent, Transient};

/// OpenZeppelin 5.x and the achievement contract.
pub(super) const KNOWN_ERRORS: &[(RevertClass, &str)] = &[
    // The achievement contract.
    (Business, "error AchievementAlreadyUnlocked(address user, uint256 id)"),
    (Business, "error AchievementNotDefined(uint256 id)"),
    (Business, "error AchievementNotUnlocked(address user, uint256 id)"),
    (Business, "error InvalidUser(address user)"),
    (Permanent, "error LengthMismatch(uint256 users, uint256 ids, uint256 proofs)"),
    (Permanent, "error EmptyBatch()"),
    (Business, "error Soulbound(uint256 tokenId)"),
    // access/
    (Permanent, "error AccessControlUnauthorizedAccount(address account, bytes32 neededRole)"),
    (Permanent, "error AccessControlBadConfirmation()"),
    (Permanent, "error AccessManagedUnauthorized(address caller)"),
    (Transient, "error AccessManagedRequiredDelay(address caller, uint32 delay)"),
    (Permanent, "error AccessManagedInvalidAuthority(address authority)"),
    (Permanent, "error OwnableUnauthorizedAccount(address account)"),
    (Permanent, "error OwnableInvalidOwner(address owner)"),
    // utils/
    (Transient, "error EnforcedPause()"),
    (Permanent, "error ExpectedPause()"),
    (Transient, "error ReentrancyGuardReentrantCall()"),
    (Transient, "error InsufficientBalance(uint256 balance, uint256 needed)"),
    (Permanent, "error FailedCall()"),
    (Permanent, "error FailedDeployment()"),
    (Permanent, "error AddressEmptyCode(address target)"),
    (Permanent, "error SafeERC20FailedOperation(address token)"),
    (Permanent, "error InvalidAccountNonce(address account, uint256 currentNonce)"),
    (Permanent, "error ECDSAInvalidSignature()"),
    (Permanent, "error StringsInsufficientHexLength(uint256 value, uint256 length)"),
    // proxy/
    (Permanent, "error InvalidInitialization()"),
    (Permanent, "error NotInitializing()"),
    (Permanent, "error UUPSUnauthorizedCallContext()"),
    (Permanent, "error ERC1967InvalidImplementation(address implementation)"),
    // token/ERC721
    (Business, "error ERC721InvalidOwner(address owner)"),
    (Business, "error ERC721NonexistentToken(uint256 tokenId)"),
    (Business, "error ERC721IncorrectOwner(address sender, uint256 tokenId, address owner)"),
    (Business, "error ERC721InvalidSender(address sender)"),
    (Business, "error ERC721InvalidReceiver(address receiver)"),
    (Business, "error ERC721InsufficientApproval(address operator, uint256 tokenId)"),
    (Business, "error ERC721InvalidApprover(address approver)"),
    (Business, "error ERC721InvalidOperator(address operator)"),
    (Permanent, "error ERC721OutOfBoundsIndex(address owner, uint256 index)"),
    (Permanent, "error ERC721ForbiddenBatchMint()"),
    // token/ERC1155
    (
        Business,
        "error ERC1155InsufficientBalance(address sender, uint256 balance, uint256 needed, uint256 tokenId)",
    ),
    (Business, "error ERC1155InvalidSender(address sender)"),
    (Business, "error ERC1155InvalidReceiver(address receiver)"),
    (Business, "error ERC1155MissingApprovalForAll(address operator, address owner)"),
    (Permanent, "error ERC1155InvalidArrayLength(uint256 idsLength, uint256 valuesLength)"),
    // token/ERC20
    (Business, "error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)"),
    (
        Business,
        "error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)",
    ),
    (Business, "error ERC20InvalidSender(address sender)"),
    (Business, "error ERC20InvalidReceiver(address receiver)"),
    (Business, "error ERC20ExceededCap(uint256 increasedSupply, uint256 cap)"),
];

/// How older contracts say the same by `require` texts: the text's beginning,
/// the code of OpenZeppelin 5's error of that meaning, its class.
pub(super) const KNOWN_REASONS: &[(&str, &str, RevertClass)] = &[
    ("Pausable: paused", "enforced_pause", Transient),
    ("Pausable: not paused", "expected_pause", Permanent),
    ("AccessControl: account", "access_control_unauthorized_account", Permanent),
    ("Ownable: caller is not the owner", "ownable_unauthorized_account", Permanent),
    ("ReentrancyGuard: reentrant call", "reentrancy_guard_reentrant_call", Transient),
    ("ERC721: mint to the zero address", "erc721_invalid_receiver", Business),
    ("ERC721: transfer to non ERC721Receiver", "erc721_invalid_receiver", Business),
    ("ERC721: invalid token ID", "erc721_nonexistent_token", Business),
];

/// Panic codes of Solidity 0.8, with a stable name and a meaning.
pub(super) const PANICS: &[(PanicKind, &str, &str)] = &[
    (PanicKind::Generic, "panic_generic", "compiler-inserted panic"),
    (PanicKind::Assert, "panic_assert", "a failed assert"),
    (PanicKind::UnderOverflow, "panic_arithmetic", "arithmetic under- or overflow"),
    (PanicKind::DivisionByZero, "panic_division_by_zero", "division or modulo by zero"),
    (PanicKind::EnumConversionError, "panic_enum_conversion", "a value that its enum lacks"),
    (PanicKind::StorageEncodingError, "panic_storage_bytes", "a badly encoded storage byte array"),
    (PanicKind::EmptyArrayPop, "panic_empty_pop", "pop of an empty array"),
    (PanicKind::ArrayOutOfBounds, "panic_array_index", "an array index out of bounds"),
    (PanicKind::ResourceError, "panic_out_of_memory", "too much memory allocated"),
    (
        PanicKind::InvalidInternalFunction,
        "panic_uninitialised_function",
        "a call of an uninitialised internal function",
    ),
];

//! What each stable code means, for people who are no engineers: in English and
//! Chinese.

/// A code's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Stable, in snake_case.
    pub code: &'static str,
    /// English.
    pub en: &'static str,
    /// Chinese, simplified.
    pub zh: &'static str,
}

/// The text of a code. A custom error of a contract's own ABI has none: its
/// name says what it means.
#[must_use]
pub fn text(code: &str) -> Option<Text> {
    TEXTS.iter().find(|(known, _, _)| *known == code).map(|(code, en, zh)| Text { code, en, zh })
}

/// All texts.
pub fn all() -> impl Iterator<Item = Text> {
    TEXTS.iter().map(|(code, en, zh)| Text { code, en, zh })
}

const TEXTS: &[(&str, &str, &str)] = &[
    // What meritd itself decides.
    (
        "no_effect",
        "The transaction went through, but the contract did nothing for this user.",
        "交易已成功，但合约没有为该用户做任何操作。",
    ),
    (
        "exceeds_block_gas_limit",
        "This call needs more gas than a whole block has.",
        "该调用需要的 gas 超过整个区块的上限。",
    ),
    (
        "unknown_contract",
        "The contract is not in the configuration any more.",
        "该合约已不在配置中。",
    ),
    (
        "in_doubt",
        "It may have landed already and the contract can't be asked: a person must decide.",
        "可能已经上链，但无法向合约查询：需要人工决定。",
    ),
    (
        "rule_changed",
        "The rule set was changed, and its new version does not give it.",
        "规则集已更改，新版本不再授予该成就。",
    ),
    (
        "lapsed",
        "The rule asks for something that lasts, and it is met no more.",
        "该规则要求持续满足的条件，现已不再满足。",
    ),
    (
        "displaced",
        "Somebody else used this transaction's nonce with the same key.",
        "有人用同一密钥占用了该交易的 nonce。",
    ),
    // What a node answers to a transaction.
    ("accepted", "The node took the transaction.", "节点已接收该交易。"),
    ("already_known", "The node had this transaction already.", "节点已有该交易。"),
    (
        "nonce_too_low",
        "A transaction with this nonce is on the chain already.",
        "该 nonce 的交易已经上链。",
    ),
    (
        "nonce_too_high",
        "An earlier transaction of the same account is missing.",
        "同一账户缺少更早的交易。",
    ),
    (
        "replacement_underpriced",
        "Another transaction with this nonce waits, and ours does not pay enough more to replace it.",
        "已有相同 nonce 的交易在等待，出价不足以替换它。",
    ),
    ("fee_too_low", "The fee is below what the network asks now.", "手续费低于网络当前要求。"),
    (
        "above_node_cap",
        "The fee is above the limit that the node's operator has set.",
        "手续费超过节点运营者设置的上限。",
    ),
    (
        "insufficient_funds",
        "The account has not enough money for the fee: fund it.",
        "账户余额不足以支付手续费：请充值。",
    ),
    ("pool_full", "The node's pool is full: it is tried again.", "节点交易池已满：稍后重试。"),
    (
        "sender_limit",
        "Too many transactions of this account wait already.",
        "该账户等待中的交易过多。",
    ),
    (
        "rate_limited",
        "The provider limits the number of requests: it is tried again later.",
        "服务商限制请求频率：稍后重试。",
    ),
    (
        "never_acceptable",
        "No node will take this transaction as it is.",
        "任何节点都不会接受这笔交易。",
    ),
    ("reverted", "The contract refuses the call.", "合约拒绝了该调用。"),
    (
        "unknown_fate",
        "The answer was lost: the node may have the transaction. The same one is sent again.",
        "响应丢失：节点可能已收到交易。将重发同一笔交易。",
    ),
    // How execution ends without a named error.
    ("error_string", "The contract refuses, with a reason of its own.", "合约以自己的理由拒绝。"),
    (
        "custom_error",
        "The contract refuses with an error that no known ABI declares.",
        "合约返回了任何已知 ABI 都未声明的错误。",
    ),
    (
        "no_reason",
        "The contract refuses without a reason: often a function that it does not have.",
        "合约未给出理由即拒绝：通常是调用了不存在的函数。",
    ),
    ("out_of_gas", "The transaction ran out of gas.", "交易的 gas 已耗尽。"),
    (
        "invalid_opcode",
        "The contract ran into an invalid instruction: it is broken.",
        "合约执行到无效指令：合约有缺陷。",
    ),
    ("stack_underflow", "The contract's code is broken.", "合约代码有缺陷。"),
    ("panic_generic", "The contract failed an internal check.", "合约内部检查失败。"),
    ("panic_assert", "The contract failed an assertion of its own.", "合约自身断言失败。"),
    (
        "panic_arithmetic",
        "A number in the contract became too large or negative.",
        "合约中的数值溢出或变为负数。",
    ),
    ("panic_division_by_zero", "The contract divided by zero.", "合约发生除以零。"),
    (
        "panic_enum_conversion",
        "The contract got a value that it has no name for.",
        "合约收到未定义的枚举值。",
    ),
    ("panic_storage_bytes", "The contract's stored data is damaged.", "合约存储的数据已损坏。"),
    ("panic_empty_pop", "The contract took an entry from an empty list.", "合约从空列表中取值。"),
    (
        "panic_array_index",
        "The contract looked beyond the end of a list.",
        "合约访问超出列表范围。",
    ),
    ("panic_out_of_memory", "The contract asked for too much memory.", "合约申请的内存过多。"),
    (
        "panic_uninitialised_function",
        "The contract called a function that was never set.",
        "合约调用了未初始化的函数。",
    ),
    (
        "panic_unknown",
        "The contract panicked with a code that is not known.",
        "合约以未知代码异常终止。",
    ),
    // The achievement contract.
    (
        "achievement_already_unlocked",
        "The user has this achievement already.",
        "用户已拥有该成就。",
    ),
    (
        "achievement_not_defined",
        "The contract does not know this achievement yet: its admin must define it.",
        "合约尚未定义该成就：需由管理员定义。",
    ),
    ("achievement_not_unlocked", "The user does not have this achievement.", "用户没有该成就。"),
    ("invalid_user", "This address can't hold achievements.", "该地址不能持有成就。"),
    ("length_mismatch", "The lists of the batch are of different lengths.", "批量列表长度不一致。"),
    ("empty_batch", "The batch is empty.", "批量为空。"),
    ("soulbound", "This token can't be given away.", "该代币不可转让。"),
    // access/
    (
        "access_control_unauthorized_account",
        "The signer lacks the role that the contract asks for: its admin must grant it.",
        "签名账户缺少合约要求的角色：需由管理员授予。",
    ),
    (
        "access_control_bad_confirmation",
        "A role can only be given up by who holds it.",
        "只有持有者本人才能放弃角色。",
    ),
    (
        "access_managed_unauthorized",
        "The contract's access manager does not allow this call.",
        "合约的权限管理器不允许该调用。",
    ),
    (
        "access_managed_required_delay",
        "The contract's access manager asks for a delay before this call.",
        "合约的权限管理器要求先等待一段时间。",
    ),
    (
        "access_managed_invalid_authority",
        "The contract's access manager is not valid.",
        "合约的权限管理器无效。",
    ),
    (
        "ownable_unauthorized_account",
        "Only the contract's owner may do this.",
        "只有合约所有者可以执行。",
    ),
    ("ownable_invalid_owner", "This address can't own the contract.", "该地址不能作为合约所有者。"),
    // utils/
    ("enforced_pause", "The contract is paused: it is tried again.", "合约已暂停：稍后重试。"),
    ("expected_pause", "The contract is not paused.", "合约并未暂停。"),
    (
        "reentrancy_guard_reentrant_call",
        "The contract was called while it was at work: it is tried again.",
        "合约正在执行时被再次调用：稍后重试。",
    ),
    ("insufficient_balance", "The contract has not enough money.", "合约余额不足。"),
    ("failed_call", "A call that the contract made failed.", "合约发起的调用失败。"),
    ("failed_deployment", "A contract could not be created.", "合约创建失败。"),
    ("address_empty_code", "There is no contract at the address.", "该地址没有合约。"),
    ("safe_erc20_failed_operation", "A token refused the transfer.", "代币拒绝了转账。"),
    ("invalid_account_nonce", "A signature's number is not the expected one.", "签名序号不符。"),
    ("ecdsa_invalid_signature", "A signature is not valid.", "签名无效。"),
    (
        "strings_insufficient_hex_length",
        "A number is too long for its text.",
        "数字过长，无法转换为文本。",
    ),
    // proxy/
    ("invalid_initialization", "The contract was set up already.", "合约已初始化。"),
    ("not_initializing", "The contract is not being set up.", "合约不在初始化阶段。"),
    (
        "uups_unauthorized_call_context",
        "The contract was called around its proxy.",
        "合约被绕过代理直接调用。",
    ),
    ("erc1967_invalid_implementation", "The proxy's new code is not valid.", "代理的新实现无效。"),
    // token/
    ("erc721_invalid_owner", "This address can't own the token.", "该地址不能持有该代币。"),
    ("erc721_nonexistent_token", "The token does not exist.", "代币不存在。"),
    ("erc721_incorrect_owner", "The token belongs to somebody else.", "代币属于他人。"),
    (
        "erc721_invalid_sender",
        "The token can't come from this address.",
        "该地址不能作为代币发送方。",
    ),
    ("erc721_invalid_receiver", "The recipient can't hold this token.", "接收方不能持有该代币。"),
    ("erc721_insufficient_approval", "The owner has not allowed this.", "所有者未授权。"),
    ("erc721_invalid_approver", "This address can't allow it.", "该地址无权授权。"),
    ("erc721_invalid_operator", "This address can't act for others.", "该地址不能代他人操作。"),
    ("erc721_out_of_bounds_index", "There is no token at this place.", "该位置没有代币。"),
    (
        "erc721_forbidden_batch_mint",
        "Tokens can't be made in a batch here.",
        "此处不允许批量铸造。",
    ),
    (
        "erc1155_insufficient_balance",
        "The holder has not enough of the token.",
        "持有者的代币不足。",
    ),
    (
        "erc1155_invalid_sender",
        "The token can't come from this address.",
        "该地址不能作为代币发送方。",
    ),
    ("erc1155_invalid_receiver", "The recipient can't hold this token.", "接收方不能持有该代币。"),
    ("erc1155_missing_approval_for_all", "The owner has not allowed this.", "所有者未授权。"),
    (
        "erc1155_invalid_array_length",
        "The lists of the batch are of different lengths.",
        "批量列表长度不一致。",
    ),
    ("erc20_insufficient_balance", "The holder has not enough of the token.", "持有者的代币不足。"),
    ("erc20_insufficient_allowance", "The owner has not allowed so much.", "授权额度不足。"),
    (
        "erc20_invalid_sender",
        "The token can't come from this address.",
        "该地址不能作为代币发送方。",
    ),
    ("erc20_invalid_receiver", "The recipient can't hold this token.", "接收方不能持有该代币。"),
    ("erc20_exceeded_cap", "There can't be more of this token.", "已达代币发行上限。"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::signing::{reverts, send_errors::SendOutcome};

    #[test]
    fn every_code_has_text_en_zh() {
        let outcomes = SendOutcome::examples();
        let codes = outcomes.iter().map(SendOutcome::as_str).map(str::to_owned);
        for code in codes.chain(reverts::known_codes()) {
            assert!(text(&code).is_some(), "{code} has no text");
        }
        let mut seen = HashSet::new();
        for Text { code, en, zh } in all() {
            assert!(seen.insert(code), "{code} stands twice");
            assert!(en.ends_with('.') && en.is_ascii(), "{code}: {en}");
            assert!(zh.ends_with('。') && !zh.is_ascii(), "{code}: {zh}");
            assert_eq!(text(code).map(|text| text.en), Some(en));
        }
        assert_eq!(text("no_such_code"), None);
    }
}

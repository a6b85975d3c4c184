//! Evidence that one receipt, or one transaction, is in a block, for somebody who
//! has its header only: the nodes of the trie on the way to it.

use alloy::primitives::{B256, Bytes};
use alloy::rlp::encode_fixed_size;
use alloy::trie::{
    HashBuilder, Nibbles,
    proof::{ProofRetainer, verify_proof},
    root::adjust_index_for_rlp,
};

/// The trie's nodes from its root to item `index`; `None` when there are fewer.
/// `items` are the bytes of all of the block's receipts, see
/// [`super::ProvenReceipts::encoded`], or those of all its transactions (EIP-2718).
#[must_use]
pub fn prove_inclusion(items: &[Bytes], index: usize) -> Option<Vec<Bytes>> {
    items.get(index)?;
    let target = key(index);
    let retainer = ProofRetainer::new(vec![target]);
    let mut trie = HashBuilder::default().with_proof_retainer(retainer);
    for place in 0..items.len() {
        let index = adjust_index_for_rlp(place, items.len());
        trie.add_leaf(key(index), items.get(index)?);
    }
    trie.root();
    let nodes = trie.take_proof_nodes().into_nodes_sorted();
    Some(nodes.into_iter().map(|(_, node)| node).collect())
}

/// Whether these nodes prove that the trie of this root has these bytes as its
/// item `index`.
#[must_use]
pub fn verify_inclusion(root: B256, index: usize, item: &[u8], nodes: &[Bytes]) -> bool {
    verify_proof(root, key(index), Some(item.to_vec()), nodes).is_ok()
}

/// The trie's key of an index: its RLP.
fn key(index: usize) -> Nibbles {
    Nibbles::unpack(encode_fixed_size(&index))
}

//! Another branch than the node's: a private fork, or one block that is
//! another now and then.

use super::Edit;

/// Blocks with other hashes than the node's, each sound in itself: linked by
/// parent hashes, hashed over its header, with bloom and receipts' root of
/// the logs that it has. Endpoints with one mark are on one branch.
#[derive(Clone, Debug)]
pub struct Branch {
    pub(super) from: u64,
    pub(super) mark: String,
    pub(super) edits: Vec<Edit>,
    pub(super) flapping: bool,
}

impl Branch {
    /// From this block on all are others. The node's own are not known here.
    pub fn fork(from: u64, mark: &str) -> Self {
        Self { from, mark: mark.to_owned(), edits: Vec::new(), flapping: false }
    }

    /// By number, this block alone is the node's and another in turns, and by
    /// hash both are known. What comes after it stands on the node's.
    pub fn flapping(height: u64) -> Self {
        Self { from: height, mark: "flap".to_owned(), edits: Vec::new(), flapping: true }
    }

    /// The branch's logs are others, too.
    pub fn edited(mut self, edit: Edit) -> Self {
        self.edits.push(edit);
        self
    }
}

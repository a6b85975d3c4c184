//! How a set takes the place of an older version of it.

use crate::rules::{
    achievement::one_of,
    document::{Errors, Table},
    model::OnChange,
    spans,
};

/// How a set takes the place of an older version of it.
pub(super) struct Changes {
    pub(super) on_change: Option<OnChange>,
    pub(super) since: u64,
    pub(super) shadow: bool,
}

pub(super) fn changes(root: &Table<'_>, errors: &mut Errors<'_>) -> Option<Changes> {
    let since = match root.get("since") {
        Some(node) => spans::time(&node, errors).map(Some),
        None => Some(None),
    };
    let shadow = match root.get("shadow") {
        Some(node) => match node.value.as_bool() {
            Some(shadow) => Some(shadow),
            None => node.wrong_type(errors, "true or false", "write shadow = true"),
        },
        None => Some(false),
    };
    let remedy = "choose \"carry\", \"recompute\" or \"from-now\"";
    let choices = [OnChange::Carry, OnChange::Recompute, OnChange::FromNow];
    let on_change = match root.get("on_change") {
        Some(node) => one_of(&node, choices, OnChange::as_str, remedy, errors).map(Some),
        None => Some(None),
    };
    // When a daemon first saw the file must decide nothing: the same file gives the
    // same result everywhere.
    if on_change == Some(Some(OnChange::FromNow)) && root.get("since").is_none() {
        let remedy = "say from when on events count, like since = 2026-12-01T00:00:00Z";
        root.require("since", errors, remedy);
        return None;
    }
    Some(Changes { on_change: on_change?, since: since?.unwrap_or(0), shadow: shadow? })
}

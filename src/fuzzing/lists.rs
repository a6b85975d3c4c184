//! Lists of people.

use std::path::Path;

use alloy::primitives::Address;

use crate::config::{List, read_list};

/// Of a problem that a person reads on one line.
const PROBLEM_CHARS_MAX: usize = 1_000;

/// The text of a list.
///
/// It is refused shortly, with its file; or nobody is on it who does not stand in it, nobody
/// is a member whose wallets are somebody else's, and it says the same in plain lines.
pub fn lists(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("rules/founders.csv");
    let list = match (read_list(path, text), read_list(path, text)) {
        (Ok(list), Ok(again)) => {
            assert_eq!(list, again);
            list
        }
        (Err(problem), Err(again)) => {
            assert_eq!(problem, again);
            let told = problem.to_string();
            assert!(told.starts_with("rules/founders.csv"), "{told}");
            assert!(!problem.remedy.is_empty());
            assert!(told.chars().count() <= PROBLEM_CHARS_MAX, "{told}");
            return;
        }
        _ => panic!("a list that is read once and not another time"),
    };
    assert!(!list.users.is_empty(), "nobody is on it");
    let lower = text.to_lowercase();
    let stands = |user: &Address| lower.contains(&format!("{user:x}"));
    assert!(list.users.iter().all(stands), "somebody is on it who does not stand in it");
    let members = list.members.as_deref();
    for (wallet, member) in members.into_iter().flatten() {
        assert!(list.users.contains(wallet) && stands(member));
        let other = members.and_then(|members| members.get(member));
        assert_eq!(other, None, "{member} is a member, and another's wallet");
    }
    let plain = read_list(path, &plainly(&list)).unwrap();
    assert_eq!(plain, list, "other words for the same");
}

fn plainly(list: &List) -> String {
    let line = |user: &Address| match &list.members {
        Some(members) => match members.get(user) {
            Some(member) => format!("{user},{member}\n"),
            None => format!("{user},\n"),
        },
        None => format!("{user}\n"),
    };
    let heading = if list.members.is_some() { "address,member\n" } else { "" };
    heading.to_owned() + &list.users.iter().map(line).collect::<String>()
}

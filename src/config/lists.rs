//! Lists of people: `rules/*.csv`, of which rules can ask who is on them, and whose
//! wallets are whose.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use alloy::primitives::Address;

use super::{Problem, files::of_file};
use crate::domain::Name;

/// Largest list, in bytes: some 350,000 addresses.
pub(super) const MAX_LIST_BYTES: u64 = 16 << 20;
/// The heading of the column with the addresses.
const COLUMN: &str = "address";
/// That of the column which says whose they are.
const MEMBER: &str = "member";
const REMEDY: &str = "write one address a line, or a column with the heading `address`; lines that begin \
                      with # are comments";

/// A list as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its name: that of its file, without `.csv`.
    pub name: Name,
    /// Who is on it.
    pub users: Arc<BTreeSet<Address>>,
    /// Who else's wallet an address is, if it says so: the member's own is not among
    /// them.
    pub members: Option<Arc<BTreeMap<Address, Address>>>,
}

/// Reads the text of a list.
pub(crate) fn read(path: &Path, text: &str) -> Result<List, Problem> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let name = Name::new(stem).map_err(|error| {
        let remedy = "name the file like founders.csv: rules say listed = \"founders\"";
        of_file(path, error.to_string(), remedy.to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let (mut users, mut columns) = (BTreeSet::new(), None);
    let mut members = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| of_file(path, error.to_string(), REMEDY.to_owned()))?;
        let headed = |name: &str| record.iter().position(|field| field.eq_ignore_ascii_case(name));
        let (at, member_at) = match columns {
            Some(columns) => columns,
            // The first line is a heading if it names the column.
            None => {
                let heading = headed(COLUMN);
                let found = (heading.unwrap_or(0), heading.and_then(|_| headed(MEMBER)));
                columns = Some(found);
                if heading.is_some() {
                    continue;
                }
                found
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let user = address(path, line, COLUMN, record.get(at).unwrap_or_default())?;
        users.insert(user);
        // Of a line without one the address is a member's own.
        let Some(text) = member_at.and_then(|at| record.get(at)).filter(|it| !it.is_empty()) else {
            continue;
        };
        let member = address(path, line, MEMBER, text)?;
        let before = members.insert(user, (member, line));
        if let Some((other, before)) = before.filter(|(other, _)| *other != member) {
            let why = format!("{user} is {other}'s by line {before}");
            return Err(at_line(path, line, MEMBER, text, why, "an address is one member's"));
        }
    }
    if users.is_empty() {
        return Err(of_file(path, "nobody is on the list".into(), REMEDY.to_owned()));
    }
    for (member, line) in members.values() {
        if let Some((other, _)) = members.get(member).filter(|(other, _)| other != member) {
            let why = format!("{member} is itself {other}'s");
            let remedy = "name the member's own address, to which nobody else's is a member";
            return Err(at_line(path, *line, MEMBER, &member.to_string(), why, remedy));
        }
    }
    let says = columns.is_some_and(|(_, member)| member.is_some());
    let members = members.into_iter().map(|(user, (member, _))| (user, member));
    let members = members.filter(|(user, member)| user != member).collect();
    Ok(List { name, users: Arc::new(users), members: says.then(|| Arc::new(members)) })
}

fn address(path: &Path, line: u64, column: &str, field: &str) -> Result<Address, Problem> {
    field.parse().map_err(|_| {
        let why = "not an address: 0x and 40 hex digits".to_owned();
        at_line(path, line, column, field, why, REMEDY)
    })
}

fn at_line(
    path: &Path,
    line: u64,
    column: &str,
    field: &str,
    why: String,
    remedy: &str,
) -> Problem {
    Problem {
        file: format!("{}:{line}", path.display()),
        key: column.into(),
        value: Some(field.chars().take(80).collect()),
        why,
        remedy: remedy.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ONE: &str = "0x1111111111111111111111111111111111111111";
    const TWO: &str = "0x2222222222222222222222222222222222222222";

    fn users(text: &str) -> Vec<String> {
        let list = read(Path::new("rules/founders.csv"), text).unwrap();
        assert_eq!(list.name.as_str(), "founders");
        list.users.iter().map(|user| user.to_string()).collect()
    }

    fn refused(text: &str) -> String {
        read(Path::new("rules/founders.csv"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_list_is_plain_or_has_a_heading_and_other_columns() {
        let both = [ONE, TWO];
        assert_eq!(users(&format!("{ONE}\n{TWO}\n")), both);
        assert_eq!(users(&format!("# ours\n\n  {TWO} ,bo\r\n{ONE}\n{ONE}")), both);
        let headed = format!("\u{feff}name,Address\n\"Lovelace, Ada\",{ONE}\nbo,{TWO}\n");
        assert_eq!(users(&headed), both);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        assert!(refused("").contains("nobody is on the list"));
        assert!(refused("address\n").contains("nobody is on the list"));
        let told = refused(&format!("{ONE}\n0x12\n"));
        assert!(told.contains("founders.csv:2"), "{told}");
        assert!(told.contains("0x12"), "{told}");
        assert!(refused("name,wallet\nada,0x12\n").contains("founders.csv:1"));
        let bad = read(Path::new("rules/The Founders.csv"), ONE).unwrap_err().to_string();
        assert!(bad.contains("founders.csv"), "{bad}");
    }

    #[test]
    fn a_list_may_say_whose_the_addresses_are() {
        let text = format!("address,member,note\n{ONE},{TWO},phone\n{TWO},,\n");
        let list = read(Path::new("rules/wallets.csv"), &text).unwrap();
        let [one, two] = [ONE, TWO].map(|it| it.parse::<Address>().unwrap());
        assert_eq!(*list.users, [one, two].into());
        assert_eq!(*list.members.unwrap(), [(one, two)].into());
        let plain = read(Path::new("rules/wallets.csv"), ONE).unwrap();
        assert_eq!(plain.members, None, "nothing is said");
        let own = read(Path::new("rules/w.csv"), &format!("address,member\n{ONE},{ONE}")).unwrap();
        assert_eq!(*own.members.unwrap(), [].into());
    }

    #[test]
    fn whose_an_address_is_must_be_clear() {
        const THREE: &str = "0x3333333333333333333333333333333333333333";
        let told = |lines: &str| refused(&format!("address,member\n{lines}"));
        let two_members = told(&format!("{ONE},{TWO}\n{ONE},{THREE}"));
        assert!(two_members.contains("founders.csv:3") && two_members.contains("by line 2"));
        let chain = told(&format!("{ONE},{TWO}\n{TWO},{THREE}"));
        assert!(chain.contains("is itself"), "{chain}");
        let circle = told(&format!("{ONE},{TWO}\n{TWO},{ONE}"));
        assert!(circle.contains("is itself"), "{circle}");
        let bad = told(&format!("{ONE},ada"));
        assert!(bad.contains("founders.csv:2") && bad.contains("member"), "{bad}");
    }
}

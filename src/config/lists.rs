//! Lists of people: `rules/*.csv`, of which rules can ask who is on them.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use alloy::primitives::Address;

use super::{Problem, files::of_file};
use crate::domain::Name;

/// Largest list, in bytes: some 350,000 addresses.
pub(super) const MAX_LIST_BYTES: u64 = 16 << 20;
/// The heading of the column with the addresses.
const COLUMN: &str = "address";
const REMEDY: &str = "write one address a line, or a column with the heading `address`; lines that begin \
                      with # are comments";

/// A list as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Its name: that of its file, without `.csv`.
    pub name: Name,
    /// Who is on it.
    pub users: Arc<BTreeSet<Address>>,
}

/// Reads the text of a list.
pub(super) fn read(path: &Path, text: &str) -> Result<List, Problem> {
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
    let (mut users, mut column) = (BTreeSet::new(), None);
    for record in reader.records() {
        let record = record.map_err(|error| of_file(path, error.to_string(), REMEDY.to_owned()))?;
        let headed = || record.iter().position(|field| field.eq_ignore_ascii_case(COLUMN));
        let at = match column {
            Some(at) => at,
            // The first line is a heading if it names the column.
            None => {
                let heading = headed();
                column = heading.or(Some(0));
                if heading.is_some() {
                    continue;
                }
                0
            }
        };
        let field = record.get(at).unwrap_or_default();
        let Ok(user) = field.parse::<Address>() else {
            let line = record.position().map_or(0, csv::Position::line);
            let file = format!("{}:{line}", path.display());
            let shown: String = field.chars().take(80).collect();
            return Err(Problem {
                file,
                key: COLUMN.into(),
                value: Some(shown),
                why: "not an address: 0x and 40 hex digits".into(),
                remedy: REMEDY.into(),
            });
        };
        users.insert(user);
    }
    if users.is_empty() {
        return Err(of_file(path, "nobody is on the list".into(), REMEDY.to_owned()));
    }
    Ok(List { name, users: Arc::new(users) })
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
}

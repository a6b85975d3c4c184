//! The rule set that is measured: 40 achievements, as communities have them.

use std::{collections::BTreeMap, fmt::Write as _};

use alloy::primitives::Address;
use meritd::{
    domain::{EventSchema, FieldSchema, FieldType, Name},
    governance::Counting,
    rules::{Catalog, CatalogContract, RuleSet},
};

use super::Outcome;

pub const CHAIN: u64 = 1;
pub const CONTRACTS: [&str; 3] = ["dao", "badge", "contributions"];

/// How many achievements it has.
pub const ACHIEVEMENTS: usize = 40;

pub fn compiled() -> Outcome<RuleSet> {
    let set = RuleSet::compile("bench", &text(), &catalog()?);
    let set =
        set.map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect::<String>())?;
    assert_eq!(set.achievements().len(), ACHIEVEMENTS);
    Ok(set)
}

fn text() -> String {
    let mut text = String::from(
        "id = \"bench\"\nsigner = \"awards\"\nachievements_contract = \"achievements\"\n",
    );
    let vote = "event = [\"dao.vote_cast\", \"dao.vote_cast_with_params\"], subject = \"voter\"";
    let give = "event = \"contributions.contributed\", subject = \"member\"";
    let mut id = 0;
    let mut add = |when: String| {
        id += 1;
        // Writing to a string can't fail.
        let _ =
            writeln!(text, "[[achievements]]\nname = \"a{id}\"\nid = {id}\nwhen = {{ {when} }}");
    };
    for count in [1, 3, 10, 25, 50, 100, 250] {
        add(format!("{vote}, distinct = \"proposal_id\", count = {count}"));
    }
    for gte in ["10e18", "100e18", "1000e18", "10000e18"] {
        add(format!("{vote}, sum = {{ field = \"weight\", gte = \"{gte}\" }}"));
    }
    for support in 0..3 {
        add(format!("{vote}, where = \"support == {support}\", count = 5"));
    }
    for (span, count) in [("7d", 3), ("30d", 5), ("30d", 10), ("90d", 20)] {
        add(format!("{vote}, distinct = \"proposal_id\", last = \"{span}\", count = {count}"));
    }
    for gte in ["50e18", "90e18"] {
        add(format!("{vote}, max = {{ field = \"weight\", gte = \"{gte}\" }}"));
    }
    for year in [2024, 2025, 2026] {
        add(format!("{vote}, from = {year}-01-01, to = {}-01-01, count = 4", year + 1));
    }
    for count in [1, 10, 100] {
        add(format!("{give}, count = {count}"));
    }
    for gte in [100, 1_000] {
        add(format!("{give}, sum = {{ field = \"amount\", gte = {gte} }}"));
    }
    for span in ["30d", "90d", "365d"] {
        add(format!("holds = {{ nft = \"badge\", for = \"{span}\" }}"));
    }
    add(format!("all = [{{ holds = {{ nft = \"badge\" }} }}, {{ {vote} }}]"));
    add(format!("{vote}, holding = {{ nft = \"badge\" }}, count = 3"));
    add(format!(
        "at_least = 2, of = [{{ {vote} }}, {{ {give} }}, {{ holds = {{ nft = \"badge\" }} }}]"
    ));
    add(format!(
        "score = {{ gte = 60, of = [{{ points = 5, each = {{ {vote}, distinct = \"proposal_id\" }} }}, \
         {{ points = 2, each = {{ {give} }} }}, {{ points = 20, once = {{ holds = {{ nft = \"badge\" }} }} }}] }}"
    ));
    add(format!("{vote}, count = 3, within = {{ span = \"30d\", after = {{ {give} }} }}"));
    add(format!("all = [{{ {vote}, count = 2 }}, {{ not = {{ {give}, to = 2025-01-01 }} }}]"));
    add(format!("{vote}, where = \"weight >= '10e18' && reason != ''\", count = 10"));
    for count in [2, 20] {
        add(format!("{vote}, where = \"proposal_id % 2 == 0\", count = {count}"));
    }
    text
}

fn catalog() -> Outcome<Catalog> {
    use FieldType::{Address as Account, Bytes, Text, Uint};
    let schema = |name: &str, fields: &[(&str, FieldType)]| -> Outcome<EventSchema> {
        let field = |(name, field_type): &(&str, FieldType)| FieldSchema {
            name: (*name).to_owned(),
            field_type: field_type.clone(),
        };
        Ok(EventSchema { name: Name::new(name)?, fields: fields.iter().map(field).collect() })
    };
    let vote = [
        ("voter", Account),
        ("proposal_id", Uint),
        ("support", Uint),
        ("weight", Uint),
        ("reason", Text),
    ];
    let params = [vote.as_slice(), &[("params", Bytes)]].concat();
    let contract = |byte: u8, kind: &str, events: Vec<EventSchema>| CatalogContract {
        chain_id: CHAIN,
        address: Address::repeat_byte(byte),
        created: false,
        clock: None,
        counting: Counting::Standard,
        votes: None,
        kind: kind.to_owned(),
        events,
    };
    Ok(Catalog {
        contracts: BTreeMap::from([
            (
                Name::new("dao")?,
                contract(
                    1,
                    "governor",
                    vec![schema("vote_cast", &vote)?, schema("vote_cast_with_params", &params)?],
                ),
            ),
            (
                Name::new("badge")?,
                contract(
                    2,
                    "erc721",
                    vec![
                        schema("minted", &[("to", Account), ("token_id", Uint)])?,
                        schema(
                            "transferred",
                            &[("from", Account), ("to", Account), ("token_id", Uint)],
                        )?,
                        schema("burned", &[("from", Account), ("token_id", Uint)])?,
                    ],
                ),
            ),
            (
                Name::new("contributions")?,
                contract(
                    3,
                    "abi",
                    vec![schema(
                        "contributed",
                        &[("member", Account), ("topic", Bytes), ("amount", Uint), ("note", Text)],
                    )?],
                ),
            ),
            (Name::new("achievements")?, contract(4, "achievements", Vec::new())),
        ]),
        groups: BTreeMap::new(),
        signers: [Name::new("awards")?].into(),
        links: BTreeMap::new(),
        lists: BTreeMap::new(),
    })
}

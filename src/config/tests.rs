//! Bad input by bad input: each names its file, key, value and way out.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use super::*;

const DEFAULT: &str = include_str!("../../config/default.toml");
const CHAIN: &str = r#"
[[chains]]
name = "local"
chain_id = 31337
endpoints = [{ url = "http://127.0.0.1:8545" }]
"#;
const DAO: &str = r#"
[[contracts]]
name = "dao"
chain = "local"
kind = "governor"
address = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
"#;
const BADGE_BENEFIT: &str = "[[contracts]]\nname = \"badge\"\nchain = \"local\"\nkind = \"erc721\"\naddress = \"0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512\"\n[[benefits]]\nname = \"b\"\nnft = \"badge\"\n";
const SIGNER: &str = r#"
[[signers]]
name = "awards"
chain = "local"
key = { raw = "env:MERITD_TEST_NO_SUCH_KEY" }
"#;

/// The problems of a `development.toml` of this text, a line each.
fn problems(text: &str) -> String {
    match read(text) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn read(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "default.toml", DEFAULT);
    write(dir.path(), "development.toml", text);
    load(dir.path(), Some("development"))
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[test]
fn the_shipped_files_are_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for environment in ["development", "production"] {
        let config = load(&dir, Some(environment)).map_err(|e| e.to_string());
        assert_eq!(config.map(|c| c.environment.to_string()), Ok(environment.to_owned()));
    }
}

#[test]
fn a_whole_configuration_is_read() {
    let config = read(&format!("{CHAIN}{DAO}{SIGNER}")).unwrap();
    assert_eq!(config.contracts.len(), 1);
    let dao = &config.contracts[0];
    assert_eq!(dao.confirmations, Confirmations::Blocks(6), "inherits the chain's");
    assert_eq!(config.signers[0].daily_budget, parse_decimal("0.5", 18).unwrap());
}

#[test]
fn each_bad_value_gets_file_key_value_and_remedy() {
    let no_chain = DAO.replace("local", "locla");
    let cases: Vec<(String, &[&str])> = vec![
        ("[[chain]]\nname = \"x\"".into(), &["chain", "did you mean `chains`?"]),
        (
            CHAIN.replace("chain_id", "chainid"),
            &["development.toml", "chains[0].chainid", "did you mean `chain_id`?"],
        ),
        (
            CHAIN.replace("31337", "\"31337\""),
            &["chains[0].chain_id", "found string \"31337\"", "give u64"],
        ),
        (CHAIN.replace("31337", "-1"), &["chains[0].chain_id"]),
        (CHAIN.replace("31337", "0"), &["chains[0].chain_id = `0`"]),
        (
            CHAIN.replace("http://127.0.0.1:8545", "127.0.0.1:8545"),
            &["chains[0].endpoints[0].url", "give http://"],
        ),
        (format!("{CHAIN}confirmations = \"latest\""), &["chains[0].confirmations", "finalized"]),
        (format!("{CHAIN}confirmations = 65"), &["chains[0].confirmations = `65`", "at most 64"]),
        (format!("{CHAIN}poll_interval_ms = 0"), &["poll_interval_ms = `0`", "give 10 to 600000"]),
        (format!("{CHAIN}{CHAIN}"), &["chains[1].name = `local`", "two have this name"]),
        (CHAIN.replace("\"local\"", "\"Local Net\""), &["chains[0].name = `Local Net`", "a-z"]),
        (format!("{CHAIN}{no_chain}"), &["contracts[0].chain = `locla`", "did you mean `local`?"]),
        (
            format!("{CHAIN}{}", DAO.replace("aa3\"", "aa\"")),
            &["contracts[0].address", "40 hex digits"],
        ),
        (
            format!("{CHAIN}{}", DAO.replace("0x5Fb", "0x5fb")),
            &["contracts[0].address", "EIP-55", "0x5FbDB2315678afecb367f032d93F642f64180aa3"],
        ),
        (
            format!("{CHAIN}{}", DAO.replace("governor", "govenor")),
            &["contracts[0].kind = `govenor`", "did you mean `governor`?"],
        ),
        (
            format!("{CHAIN}{}", DAO.replace("governor", "abi")),
            &["contracts[0].abi", "name the ABI's JSON file"],
        ),
        (
            format!("{CHAIN}{}abi = \"none.json\"", DAO.replace("governor", "abi")),
            &["contracts[0].abi = `none.json`", "No such file"],
        ),
        (
            format!("{CHAIN}{}", SIGNER.replace("env:MERITD_TEST_NO_SUCH_KEY", "0xsecret")),
            &["signers[0].key.raw", "must not stand in a configuration file"],
        ),
        (format!("{CHAIN}{SIGNER}max_fee_gwei = 1.5"), &["signers[0].max_fee_gwei", "in quotes"]),
        (
            format!("{CHAIN}{SIGNER}daily_budget_eth = \"-1\""),
            &["signers[0].daily_budget_eth = `-1`", "not an amount"],
        ),
        (
            format!("{CHAIN}[debug]\nfault_injection = true\nfailpoint = \"after_lunch\""),
            &["debug.failpoint = `after_lunch`", "like after_sign:1"],
        ),
        (
            format!("{CHAIN}[debug]\nfailpoint = \"after_sign:1\""),
            &["debug.failpoint = `after_sign:1`", "with fault_injection = true"],
        ),
        (
            format!("{CHAIN}{SIGNER}give_up_after_s = 0"),
            &["signers[0].give_up_after_s = `0`", "give 1 to 604800"],
        ),
        (
            format!("{CHAIN}{SIGNER}gas_buffer_percent = 5"),
            &["signers[0].gas_buffer_percent = `5`", "give 20 to 30"],
        ),
        (
            format!("{CHAIN}{DAO}[[benefits]]\nname=\"b\"\nnft=\"dao\"\nweight_multiplier=\"1.2\""),
            &["benefits[0].nft = `dao`", "erc721 or achievements"],
        ),
        (
            format!("{CHAIN}{BADGE_BENEFIT}at_least = 3"),
            &["benefits[0].weight_multiplier", "it changes nothing"],
        ),
        (
            format!("{CHAIN}{BADGE_BENEFIT}grants = [\"forum\"]\nat_least = 0"),
            &["benefits[0].at_least = `0`", "1 to 1000000"],
        ),
        (
            format!("{CHAIN}{BADGE_BENEFIT}grants = [\"The Forum\"]"),
            &["benefits[0].grants = `The Forum`"],
        ),
        (format!("{CHAIN}{BADGE_BENEFIT}grants = [\"a\", \"a\"]"), &["benefits[0].grants = `a`"]),
        ("[api]\nlisten = \"nowhere\"".into(), &["api.listen = `nowhere`", "ip:port"]),
        ("[nats]\nurls = [\"nats://h\"]".into(), &["nats.urls", "managed"]),
        (
            "[nats]\nmode = \"external\"\nurls = [\"nats://u:p@h\"]".into(),
            &["nats.urls[0]", "plain server URL"],
        ),
        ("api = ".into(), &["development.toml:1", "(syntax)"]),
        ("supervisor = 3".into(), &["supervisor", "found"]),
    ];
    for (text, parts) in cases {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
    }
}

#[test]
fn bad_values_about_factories_and_groups_get_key_value_and_remedy() {
    let child = |of: &str| {
        format!(
            "[[contracts]]\nname = \"child\"\nchain = \"local\"\nkind = \"erc721\"\n\
             created_by = {{ contract = \"{of}\", event = \"created\", field = \"child\" }}\n"
        )
    };
    let with = |more: &str| format!("{CHAIN}{DAO}{more}");
    let group = |keys: &str| with(&format!("[[governor_groups]]\n{keys}\n"));
    let cases: Vec<(String, &[&str])> = vec![
        (with(&child("dap")), &["contracts[1].created_by.contract = `dap`", "did you mean `dao`?"]),
        (with(&child("child")), &["contracts[1].created_by.contract = `child`", "create itself"]),
        (
            with(&child("dao").replace("event = \"created\"", "event = \"Created\"")),
            &["contracts[1].created_by.event = `Created`", "snake_case"],
        ),
        (
            with(&child("dao").replace("erc721", "achievements")),
            &["contracts[1].created_by", "land on one contract"],
        ),
        (
            with(&format!("{}address = \"0x{}\"", child("dao"), "1".repeat(40))),
            &["contracts[1].created_by", "remove one of the two keys"],
        ),
        (
            with(&format!("{}provisional = true", child("dao"))),
            &["contracts[1].provisional = `true`", "only once it is confirmed"],
        ),
        (with("provisional = 1"), &["contracts[0].provisional", "found"]),
        (
            with("[[contracts]]\nname = \"x\"\nchain = \"local\"\nkind = \"eas\""),
            &["contracts[1].address", "or the event that tells it in `created_by`"],
        ),
        (
            with(&format!(
                "{}[[benefits]]\nname=\"b\"\nnft=\"child\"\nweight_multiplier=\"1.2\"",
                child("dao")
            )),
            &["benefits[0].nft = `child`", "same ids"],
        ),
        (group("name = \"g\"\nmembers = []"), &["governor_groups[0].members", "first one first"]),
        (group("name = \"dao\"\nmembers = [\"dao\"]"), &["governor_groups[0].name = `dao`"]),
        (
            group("name = \"g\"\nmembers = [\"dao\", \"dao\"]"),
            &["governor_groups[0].members = `dao`", "in a group already"],
        ),
        (
            format!(
                "{}[[governor_groups]]\nname = \"g\"\nmembers = [\"child\"]",
                with(&child("dao"))
            ),
            &["governor_groups[0].members = `child`", "not a governor"],
        ),
        (group("name = \"g\"\nmembers = \"dao\""), &["governor_groups[0].members", "found string"]),
    ];
    for (text, parts) in cases {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
    }
}

#[test]
fn a_source_of_facts_says_who_may_say_what() {
    const FORUM: &str = "[[facts]]\nname = \"forum\"\n\
        signers = [\"0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512\"]\n\
        events.posted = { author = \"address\", likes = \"uint\" }\n";
    let config = read(&format!("{CHAIN}{DAO}{FORUM}hmac = \"env:FORUM\"\n")).unwrap();
    let facts = &config.facts[0];
    assert_eq!((facts.name.as_str(), facts.signers.len()), ("forum", 1));
    assert_eq!(facts.heartbeat, Duration::from_secs(15));
    assert_eq!(facts.events[0].fields.len(), 2);
    let changed = |from: &str, to: &str| {
        let text = FORUM.replace(from, to);
        assert_ne!(text, FORUM);
        format!("{CHAIN}{DAO}{text}")
    };
    let and = |more: &str| format!("{CHAIN}{DAO}{FORUM}{more}\n");
    let signers = "signers = [\"0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512\"]";
    for (text, parts) in [
        (changed("\"forum\"", "\"dao\""), ["facts[0].name", "a contract has this name"]),
        (changed("\"forum\"", "\"The Forum\""), ["facts[0].name", "not a name"]),
        (and(FORUM), ["facts[1].name", "two have this name"]),
        (changed(signers, ""), ["facts[0].signers", "anybody could say anything"]),
        (changed("0xe7f1", "0x"), ["facts[0].signers", "not an address"]),
        (
            changed("0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512", &"0".repeat(40)),
            ["facts[0].signers", "not an address"],
        ),
        (and("hmac = \"hunter2\""), ["facts[0].hmac", "never stands in a file"]),
        (and("heartbeat_s = 0"), ["facts[0].heartbeat_s", "from 1 to 3600"]),
        (and("heartbeat_s = \"often\""), ["facts[0].heartbeat_s", "string"]),
        (changed("\"uint\"", "\"uint256\""), ["facts[0].events.posted.likes", "not a type"]),
        (changed("likes", "fact_id"), ["facts[0].events.posted.fact_id", "can't have this name"]),
        (changed("\"address\"", "\"text\""), ["facts[0].events.posted", "nobody can earn"]),
        (changed("events.posted", "events.\"a b\""), ["facts[0].events.a b", "not a name"]),
        (
            changed("events.posted = { author = \"address\", likes = \"uint\" }", "events = {}"),
            ["facts[0].events", "it tells nothing"],
        ),
        (changed("name = \"forum\"", "names = \"forum\""), ["facts[0]", "names"]),
        (
            format!("{}{FORUM}", CHAIN.replace("\"local\"", "\"offchain\"")),
            ["chains[0].name", "off chain"],
        ),
    ] {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn how_a_governor_decides_follows_from_its_kind_unless_it_is_said() {
    use super::GovernorCounting::{Bravo, Nouns, Standard, Word};
    let dao = |kind: &str, more: &str| {
        let dao = DAO.replace("kind = \"governor\"", &format!("kind = \"{kind}\""));
        assert!(kind == "governor" || dao != DAO);
        format!("{CHAIN}{dao}{more}\n")
    };
    let grace = Some(1_209_600);
    for (kind, counting, grace_period_s) in [
        ("governor", Standard, None),
        ("governor_bravo", Bravo, grace),
        ("governor_alpha", Bravo, grace),
        ("nouns", Nouns, None),
        ("optimism_governor", Word, None),
    ] {
        let config = read(&dao(kind, "")).unwrap();
        let contract = &config.contracts[0];
        assert_eq!(
            (contract.counting, contract.grace_period_s),
            (counting, grace_period_s),
            "{kind}"
        );
    }
    let said = read(&dao("governor", "counting = \"bravo\"\ngrace_period_s = 3600")).unwrap();
    assert_eq!(
        (said.contracts[0].counting, said.contracts[0].grace_period_s),
        (Bravo, Some(3_600))
    );

    for (text, parts) in [
        (dao("governor", "counting = \"majority\""), ["contracts[0].counting", "majority"]),
        (dao("governor", "counting = 3"), ["contracts[0].counting", "found signed int"]),
        (dao("erc721", "counting = \"bravo\""), ["contracts[0].counting", "only governors"]),
        (dao("erc721", "grace_period_s = 3600"), ["contracts[0].grace_period_s", "only governors"]),
        (dao("nouns", "grace_period_s = 0"), ["contracts[0].grace_period_s", "minute to a year"]),
        (dao("nouns", "grace_period_s = -1"), ["contracts[0].grace_period_s", "-1"]),
        (
            dao("governor", "counting = \"word\"\nclock = \"timestamp\""),
            ["contracts[0].counting", "first after a deadline"],
        ),
    ] {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
    }
}

#[test]
fn whose_votes_a_governor_counts_is_a_contract_with_votes_on_its_chain() {
    let token = |kind: &str| {
        format!(
            "[[contracts]]\nname = \"token\"\nchain = \"local\"\nkind = \"{kind}\"\n\
             address = \"0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512\"\n"
        )
    };
    let counting = |votes: &str| format!("{CHAIN}{DAO}votes = {votes}\n");
    let config = read(&format!("{}{}", counting("\"token\""), token("votes"))).unwrap();
    assert_eq!(config.contracts[0].votes.as_ref().map(Name::as_str), Some("token"));
    for (text, parts) in [
        (counting("\"tokens\"") + &token("votes"), ["contracts[0].votes", "token"]),
        (counting("\"token\"") + &token("erc1155"), ["contracts[0].votes", "it has no votes"]),
        (counting("3") + &token("votes"), ["contracts[0].votes", "string"]),
        (
            format!("{CHAIN}{DAO}{}votes = \"dao\"\n", token("votes")),
            ["contracts[1].votes", "count the votes at a proposal's start"],
        ),
    ] {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
    }
}

#[test]
fn a_created_contract_begins_where_its_factory_does_unless_it_says_so() {
    let child = |name: &str, of: &str, start: &str| {
        format!(
            "[[contracts]]\nname = \"{name}\"\nchain = \"local\"\nkind = \"governor\"\n{start}\n\
             created_by = {{ contract = \"{of}\", event = \"created\", field = \"child\" }}\n"
        )
    };
    let all = [
        child("grandchild", "child", ""),
        child("child", "dao", ""),
        child("late", "dao", "start_block = 99"),
    ];
    let dao = DAO.replace("kind =", "start_block = 7\nkind =");
    let config = read(&format!("{CHAIN}{dao}{}", all.concat())).unwrap();
    let starts: Vec<u64> = config.contracts.iter().map(|contract| contract.start_block).collect();
    assert_eq!(starts, [7, 7, 7, 99]);
    let grandchild = &config.contracts[1];
    assert_eq!(grandchild.address(), None);
    assert_eq!(config.root_of(grandchild), config.contracts[0].address());
}

#[test]
fn bad_values_about_chains_and_endpoints_get_key_value_and_remedy() {
    let chain = |more: &str| format!("{CHAIN}{more}");
    let endpoint = |more: &str| CHAIN.replace(":8545\" }", &format!(":8545\", {more} }}"));
    let cases: Vec<(String, &[&str])> = vec![
        (
            chain("preset = \"etherium\""),
            &["chains[0].preset = `etherium`", "did you mean `ethereum`?"],
        ),
        (chain("completeness = \"all\""), &["chains[0].completeness = `all`", "receipts"]),
        (chain("finality_tag = \"yes\""), &["chains[0].finality_tag", "found string"]),
        (chain("backfill_calls = 0"), &["chains[0].backfill_calls = `0`", "give 1 to 64"]),
        (chain("hedge_after_ms = 5"), &["chains[0].hedge_after_ms = `5`", "give 10 to 60000"]),
        (chain("finality_depth = 100001"), &["chains[0].finality_depth = `100001`"]),
        (endpoint("ws = \"http://h\""), &["chains[0].endpoints[0].ws", "give ws://"]),
        (endpoint("requests_per_second = 0"), &["requests_per_second = `0`", "give 1 to 1000000"]),
        (
            endpoint("requests_per_second = 5, credits_per_second = 5"),
            &["endpoints[0].credits_per_second", "beside `requests_per_second`"],
        ),
        (endpoint("burst = 9"), &["endpoints[0].burst", "a burst without a rate"]),
        (
            endpoint("credit_costs = { eth_getLogs = 60 }"),
            &["endpoints[0].credit_costs", "give `credits_per_second`"],
        ),
        (
            endpoint("credits_per_second = 50, credit_costs = { eth_getLogs = 60 }"),
            &["credit_costs.eth_getLogs = `60`", "raise `burst`"],
        ),
    ];
    for (text, parts) in cases {
        let said = problems(&text);
        for part in parts {
            assert!(said.contains(part), "`{part}` is not in:\n{said}\nfor:\n{text}");
        }
    }
}

#[test]
fn a_preset_gives_what_is_not_said_and_yields_to_what_is() {
    let read = |more: &str| read(&format!("{CHAIN}{more}")).unwrap().chains.remove(0);
    let polygon = read("preset = \"polygon\"");
    assert_eq!(polygon.confirmations, Confirmations::Blocks(64));
    assert!(polygon.finality_tag && polygon.poll_interval.is_none());
    let shallow = read("preset = \"polygon\"\nfinality_depth = 20\nfinality_tag = false");
    assert_eq!(shallow.confirmations, Confirmations::Blocks(20), "never deeper than final");
    assert!(!shallow.finality_tag);
    assert_eq!(read("").confirmations, Confirmations::Blocks(6));
}

#[test]
fn a_secret_in_a_file_is_not_repeated_in_the_error() {
    let said =
        problems(&format!("{CHAIN}{}", SIGNER.replace("env:MERITD_TEST_NO_SUCH_KEY", "0xc0ffee")));
    assert!(!said.contains("c0ffee"), "{said}");
    let said = problems("[nats]\nmode = \"external\"\nurls = [\"nats://u:hunter2@h\"]");
    assert!(!said.contains("hunter2"), "{said}");
    // Below the table of events it is one of them.
    let facts = "[[facts]]\nname = \"forum\"\n[facts.events]\nhmac = \"hunter2\"";
    let said = problems(&format!("{CHAIN}{facts}"));
    assert!(said.contains("facts[0].events.hmac") && !said.contains("hunter2"), "{said}");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = format!("{CHAIN}{}", DAO.replace("local", "other").replace("aa3", ""));
    assert_eq!(problems(&text).lines().count(), 2);
}

#[test]
fn a_missing_folder_and_a_missing_environment_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let said = load(dir.path(), None).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("point --config at a folder"), "{said}");
    write(dir.path(), "default.toml", DEFAULT);
    write(dir.path(), "staging.toml", "");
    let said = load(dir.path(), Some("stagin")).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("name one of: staging"), "{said}");
    let said = load(dir.path(), Some("../etc")).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("name one of"), "{said}");
}

#[test]
fn a_huge_file_is_refused_before_it_is_read() {
    let said = problems(&"# filler\n".repeat(200_000));
    assert!(said.contains("are more than"), "{said}");
}

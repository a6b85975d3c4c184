//! Configuration files and the variables that override them.

use super::place::{NO_BROKER, Place, WHOLE};

/// Each text of `development.toml`, and what must be said of it.
fn refuses(cases: &[(&str, &[&str])]) {
    for (text, parts) in cases {
        Place::new(text).refused().says(2, &[&["config/development.toml"], *parts].concat());
    }
}

#[test]
fn a_value_of_a_wrong_type_is_named_with_what_is_wanted() {
    refuses(&[
        ("[api]\nlisten = 8080", &["api.listen", "8080", "a string"]),
        ("[log]\nformat = \"yaml\"", &["log.format", "`yaml`", "auto, text, json"]),
        ("[supervisor]\nmax_restarts = \"ten\"", &["supervisor.max_restarts", "\"ten\"", "u32"]),
        ("supervisor = 3", &["supervisor: ", "3"]),
        ("chains = { name = \"x\" }", &["chains: ", "a sequence"]),
        (
            "[[chains]]\nname = \"c\"\nchain_id = 1.5\nendpoints = []",
            &["chains[0].chain_id", "1.5", "u64"],
        ),
        (
            "[[chains]]\nname = \"c\"\nchain_id = 1\nconfirmations = \"soon\"",
            &["chains[0].confirmations", "soon", "finalized"],
        ),
        ("[debug]\nfault_injection = \"yes\"", &["debug.fault_injection", "yes", "boolean"]),
    ]);
    let place = Place::new("");
    let default = std::fs::read_to_string(place.config().join("default.toml")).unwrap();
    place.write("default.toml", default.replace("max_restarts = 10", "max_restarts = -10"));
    place.refused().says(2, &["config/default.toml: supervisor.max_restarts", "-10", "u32"]);
    place.write("default.toml", default.replace("[api]", "[pai]"));
    place.refused().says(2, &["config/default.toml: pai", "did you mean `api`?"]);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    refuses(&[
        ("dta_dir = \"x\"", &["dta_dir", "did you mean `data_dir`?"]),
        ("[api]\nlissten = \"127.0.0.1:0\"", &["api.lissten", "did you mean `listen`?"]),
        ("[nats]\nmodus = \"managed\"", &["nats.modus", "did you mean `mode`?"]),
        ("[superviser]\nmax_restarts = 1", &["superviser", "did you mean `supervisor`?"]),
    ]);
    let whole = WHOLE.replace("abi = \"inbox.json\"", "abbi = \"inbox.json\"");
    refuses(&[(&whole, &["contracts[2].abbi", "did you mean `abi`?"])]);
    let whole = WHOLE.replace("{ raw =", "{ rwa =");
    refuses(&[(&whole, &["signers[0].key.rwa", "did you mean `raw`?"])]);
}

#[test]
fn broken_toml_is_told_with_its_line() {
    refuses(&[("[api]\n\nlisten = ", &["development.toml:3", "listen", "mend the TOML"])]);
    let place = Place::new("");
    place.write("default.toml", "environment = \"development\"\n[log\n");
    place.refused().says(2, &["config/default.toml:2", "[log"]);
    let place = Place::new("");
    place.write("rules/r.toml", "id = \"r\"\n[[achievements]\n");
    place.refused().says(2, &["rules/r.toml:2", "this is not TOML"]);
}

#[test]
fn huge_files_and_files_that_are_no_text_are_refused_by_name() {
    let huge = "# filler\n".repeat(200_000);
    for name in ["default.toml", "development.toml", "rules/r.toml"] {
        let place = Place::new("");
        place.write(name, &huge);
        place.refused().says(2, &[name, "1800000 bytes are more than"]);
        place.write(name, b"environment = \"\xff\xfe\"");
        place.refused().says(2, &[name, "UTF-8"]);
    }
    let place = Place::new(WHOLE);
    place.write("inbox.json", vec![b'['; 40 << 20]);
    place.refused().says(2, &["contracts[2].abi = `inbox.json`", "bytes are more than"]);
    place.write("inbox.json", b"\xff\xfe");
    place.refused().says(2, &["contracts[2].abi = `inbox.json`", "UTF-8"]);
}

#[test]
fn an_abi_file_that_is_none_is_refused() {
    for content in ["", "{}", "[{\"type\": \"event\"}]", "not json"] {
        let place = Place::new(WHOLE);
        place.write("inbox.json", content);
        place.refused().says(2, &["contracts[2].abi = `inbox.json`", "ABI"]);
    }
    let place = Place::new(WHOLE.replace("inbox.json", "../../nowhere.json"));
    place.refused().says(2, &["contracts[2].abi", "nowhere.json", "No such file"]);
}

#[test]
fn a_rules_folder_that_is_none_is_refused_and_not_taken_for_empty() {
    let place = Place::new("");
    std::fs::remove_dir(place.config().join("rules")).unwrap();
    place.write("rules", "in the way");
    place.refused().says(2, &["config/rules", "Not a directory"]);
}

#[test]
fn an_unknown_environment_is_told_with_those_there_are() {
    let mut place = Place::new("");
    place.write("staging_eu.toml", NO_BROKER);
    let known = "name one of: development, staging_eu";
    for name in ["producton", "../development", "a/b", "", "default"] {
        let ended = place.meritd(&["check", "--offline", "--environment", name]);
        ended.says(2, &["--environment: ", known]);
    }
    place.set("MERITD__ENVIRONMENT", "qa");
    place.refused().says(2, &["MERITD__ENVIRONMENT: ", "environment = `qa`", known]);
    place.set("MERITD__ENVIRONMENT", "staging_eu");
    let ended = place.meritd(&["check", "--offline"]);
    ended.says(0, &[]);
    ended.prints(&["staging_eu: 0 contracts"]);
}

#[test]
fn variables_override_files_and_are_named_when_they_are_wrong() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("MERITD__API__LISTEN", "nowhere", &["api.listen = `nowhere`", "give ip:port"]),
        ("MERITD__API__LISTN", "127.0.0.1:1", &["api.listn", "did you mean `listen`?"]),
        ("MERITD__SUPERVISOR__MAX_RESTARTS", "ten", &["supervisor.max_restarts", "ten", "u32"]),
        ("MERITD__SUPERVISOR__MAX_RESTARTS", "0", &["supervisor.max_restarts = `0`", "1 to 1000"]),
        ("MERITD__NATS__MODE", "extern", &["nats.mode", "did you mean `external`?"]),
        ("MERITD__CHAINS", "[{name=\"c\",chain_id=\"x\"}]", &["chains[0].chain_id", "u64"]),
    ];
    for (variable, value, parts) in cases {
        let mut place = Place::new("");
        place.set(variable, value);
        place.refused().says(2, &[&[format!("variable {variable}: ").as_str()], parts].concat());
    }
    let mut place = Place::new("[api]\nlisten = \"nowhere\"");
    place.set("MERITD__API__LISTEN", "127.0.0.1:0");
    place.meritd(&["check", "--offline"]).says(0, &[]);
}

#[test]
fn a_file_is_blamed_for_its_own_keys_when_a_variable_sets_another_of_the_section() {
    let mut place = Place::new("[supervisor]\nfreeze_after_s = 0");
    place.set("MERITD__SUPERVISOR__MAX_RESTARTS", "5");
    place.refused().says(2, &["development.toml: supervisor.freeze_after_s = `0`"]);
}

#[test]
fn production_refuses_to_crash_actors_on_request() {
    let place = Place::new("");
    place.write("production.toml", "environment = \"production\"\n[debug]\nfault_injection = true");
    let ended = place.meritd(&["run", "--environment", "production"]);
    ended.says(2, &["production.toml", "debug.fault_injection = `true`", "remove the key"]);
}

#[test]
fn no_secret_is_repeated_however_it_is_misplaced() {
    let external = "[nats]\nmode = \"external\"\nurls = [\"nats://h:4222\"]\nuser = \"u\"\n";
    let texts = [
        format!("{external}password = \"s3cr3t-0042\""),
        format!("{external}password = s3cr3t-0042"),
        format!("{external}password = \"s3cr3t-0042"),
        format!("{external}password = [\"s3cr3t-0042\"]"),
        "[nats]\nmode = \"external\"\nurls = [\"nats://u:s3cr3t-0042@h\"]".to_owned(),
        "[nats]\nmode = \"external\"\nurls = [\n\"nats://u:s3cr3t-0042@h\" x\n]".to_owned(),
        WHOLE.replace("env:AWARDS_KEY", "s3cr3t-0042"),
        WHOLE.replace("http://127.0.0.1:1", "htp://h/s3cr3t-0042"),
        WHOLE.replace("\"http://127.0.0.1:1\" }]", "\"https://h/s3cr3t-0042 }]"),
        WHOLE.replace("[{ url = \"http://127.0.0.1:1\" }]", "[\"https://h/s3cr3t-0042\"]"),
        WHOLE.replace("[{ url = \"http://127.0.0.1:1\" }]", "[{\nurl = \"h/s3cr3t-0042\"\n}]"),
        WHOLE.replace("{ raw = \"env:AWARDS_KEY\" }", "\"s3cr3t-0042\""),
    ];
    for text in texts {
        let ended = Place::new(&text).refused();
        ended.says(2, &["config/development.toml"]);
        ended.repeats_not("s3cr3t");
    }
    let mut place = Place::new("");
    place.set("MERITD__CHAINS", "[{name=\"c\",endpoints=[{url=\"https://h/s3cr3t\"}}]");
    let ended = place.refused();
    ended.says(2, &["variable MERITD__CHAINS: chains", "found a string", "give a sequence"]);
    ended.repeats_not("s3cr3t");
    for text in [
        format!("{external}password = 31415926"),
        WHOLE.replace("\"env:AWARDS_KEY\"", "31415926"),
        WHOLE.replace("\"http://127.0.0.1:1\"", "31415926"),
    ] {
        let ended = Place::new(&text).refused();
        ended.says(2, &["config/development.toml", "a string"]);
        ended.repeats_not("31415926");
    }
}

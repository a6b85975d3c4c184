//! `meritd dead-letters`: what could not be processed, and what becomes of it.

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};

use super::{Failure, client::DaemonArgs, print};
use crate::signing::texts::{self, Text};

/// What to do with dead letters.
#[derive(Debug, Args)]
pub(super) struct DeadLettersArgs {
    #[command(subcommand)]
    command: LettersCommand,
}

#[derive(Debug, Subcommand)]
enum LettersCommand {
    /// List them, the latest last
    #[command(after_help = "Example:\n  meritd dead-letters list --actor signer-awards --limit 20")]
    List(ListArgs),
    /// Show one, whole
    #[command(after_help = "Example:\n  meritd dead-letters show 17")]
    Show(OneArgs),
    /// Try again what it is about; the letter goes
    #[command(after_help = "Example:\n  meritd dead-letters replay 17\n\n\
        A rejected unlock waits for a transaction again; a log that could not be read is told again.")]
    Replay(OneArgs),
    /// Throw it away
    #[command(after_help = "Example:\n  meritd dead-letters discard 17")]
    Discard(OneArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only of this actor, like signer-awards, contract-dao, rule_set-quests
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// From this number on; the latest without
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// So many at most
    #[arg(
        long, value_name = "N", default_value = "50",
        value_parser = clap::value_parser!(u64).range(1..=500)
    )]
    limit: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Its number in the list
    #[arg(value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    number: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) fn run(args: &DeadLettersArgs) -> Result<(), Failure> {
    match &args.command {
        LettersCommand::List(args) => list(args),
        LettersCommand::Show(args) => {
            let letter: Json = args.daemon.get(&format!("{PATH}/{}", args.number), &[])?;
            print(if args.json { format!("{letter:#}") } else { whole(&letter) })
        }
        LettersCommand::Replay(args) => {
            let number = args.number.to_string();
            let path = ["api", "v1", "dead-letters", &number, "replay"];
            let done: Json = args.daemon.post(&path, &json!({}))?;
            let said = done.get("done").and_then(Json::as_str).unwrap_or_default();
            print(if args.json { format!("{done:#}") } else { said.to_owned() })
        }
        LettersCommand::Discard(args) => {
            let number = args.number.to_string();
            let done: Json = args.daemon.delete(&["api", "v1", "dead-letters", &number])?;
            let said = format!("dead letter {number} is gone");
            print(if args.json { format!("{done:#}") } else { said })
        }
    }
}

const PATH: &str = "/api/v1/dead-letters";

fn list(args: &ListArgs) -> Result<(), Failure> {
    let (limit, from) = (args.limit.to_string(), args.from.map(|from| from.to_string()));
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.actor.as_deref().map(|actor| ("actor", actor)));
    query.extend(from.as_deref().map(|from| ("from", from)));
    let answer: Json = args.daemon.get(PATH, &query)?;
    if args.json {
        return print(format!("{answer:#}"));
    }
    let letters = answer.get("letters").and_then(Json::as_array).cloned().unwrap_or_default();
    if letters.is_empty() {
        return print("no dead letters");
    }
    for letter in &letters {
        print(line(letter))?;
    }
    let total = answer.get("total").and_then(Json::as_u64).unwrap_or_default();
    match answer.get("next").and_then(Json::as_u64) {
        Some(next) => print(format!("{total} in all; go on with --from {next}")),
        None => print(format!("{total} in all")),
    }
}

/// A letter in one line.
fn line(letter: &Json) -> String {
    let number = letter.get("sequence").and_then(Json::as_u64).unwrap_or_default();
    let seconds = letter.get("stored_at_unix_s").and_then(Json::as_i64).unwrap_or_default();
    let text = |key: &str| letter.get(key).and_then(Json::as_str).unwrap_or_default();
    format!("{number:>8}  {}  {:<28} {}", time(seconds), text("actor"), text("reason"))
}

/// A letter with its origin.
fn whole(letter: &Json) -> String {
    let origin = letter.get("origin").unwrap_or(&Json::Null);
    let meaning = letter.get("code").and_then(Json::as_str).and_then(texts::text);
    let meaning =
        meaning.map_or_else(String::new, |Text { code, en, zh }| format!("\n{code}: {en} {zh}"));
    format!("{}{meaning}\n{origin:#}", line(letter))
}

/// A time as people write it, UTC.
fn time(unix_s: i64) -> String {
    let format = time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::from_unix_timestamp(unix_s);
    time.ok().and_then(|time| time.format(&format).ok()).unwrap_or_else(|| unix_s.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_line() {
        let letter = json!({
            "sequence": 17, "stored_at_unix_s": 1_795_219_200_i64, "actor": "signer-awards",
            "reason": "AchievementNotDefined(id: 9)", "origin": {},
        });
        let expected = "      17  2026-11-21T00:00:00Z  signer-awards                AchievementNotDefined(id: 9)";
        assert_eq!(line(&letter), expected);
        assert!(line(&json!(null)).contains("1970-01-01"));
    }
}

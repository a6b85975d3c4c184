//! What is wrong with a rule file, where, and the way out.

use std::fmt;

use crate::{
    domain::{FieldType, InvalidName},
    shortened::shortened,
};

/// One mistake in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct RuleError {
    /// The file, as it was named to the compiler.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// Path of the key, like `achievements[0].when.event`; empty for the whole
    /// file.
    pub key: String,
    /// The text that stands there, cut at 80 characters; empty when the key is
    /// missing.
    pub value: String,
    /// What is wrong.
    #[source]
    pub problem: Problem,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            f.write_str(&shortened(&self.key))?;
            if !self.value.is_empty() {
                write!(f, " = {}", self.value)?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}; {}", shortened(&self.problem), self.remedy)
    }
}

/// The kinds of mistakes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is too large to be a rule set.
    #[error("the file has {bytes} bytes, more than {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The file is not TOML.
    #[error("this is not TOML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A key must be there.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A value of another type is expected.
    #[error("expected {expected}, found {found}")]
    WrongType {
        /// What is expected.
        expected: String,
        /// What is there.
        found: &'static str,
    },
    /// The key means nothing here.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// Keys that exclude each other.
    #[error("{} can't stand together", quoted(keys))]
    Conflict {
        /// The keys.
        keys: Vec<&'static str>,
    },
    /// A list or table that needs entries has none.
    #[error("`{key}` has no entries")]
    Empty {
        /// The key.
        key: String,
    },
    /// No list has this name.
    #[error("there is no list `{list}`")]
    UnknownList {
        /// The name.
        list: String,
    },
    /// A prerequisite that is told and never lands.
    #[error("`{achievement}` is told and never lands (notify = true)")]
    NeverLands {
        /// The prerequisite.
        achievement: String,
    },
    /// A list that does not say who is whose.
    #[error("the list `{list}` has no column `member`")]
    NoMembers {
        /// The name.
        list: String,
    },
    /// A sequence of one.
    #[error("one step is no sequence")]
    OneStep,
    /// More entries or levels than the limit.
    #[error("{count} {what}, more than {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// Not a name.
    #[error(transparent)]
    BadName(#[from] InvalidName),
    /// Something that must be unique stands twice.
    #[error("{what} {value} is taken on line {first_line}")]
    Duplicate {
        /// Name or id.
        what: &'static str,
        /// The value.
        value: String,
        /// Where it stands first.
        first_line: usize,
    },
    /// Not one of the words allowed.
    #[error("`{word}` is not one of {}", quoted(allowed))]
    BadWord {
        /// The word.
        word: String,
        /// Those allowed.
        allowed: Vec<&'static str>,
    },
    /// Not a literal of the field's type.
    #[error("`{text}` is not {expected}")]
    BadLiteral {
        /// The text.
        text: String,
        /// The type expected.
        expected: FieldType,
    },
    /// A number beyond what can be.
    #[error("{number} is out of range: {min} to {max}")]
    OutOfRange {
        /// The number.
        number: String,
        /// The smallest allowed.
        min: String,
        /// The greatest allowed.
        max: String,
    },
    /// An expression that means nothing.
    #[error("`{part}`: {why}")]
    BadExpression {
        /// The part of it.
        part: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a time or a span of time.
    #[error("`{text}` is no {expected}")]
    BadTime {
        /// The text.
        text: String,
        /// What is expected.
        expected: &'static str,
    },
    /// A window that holds nothing.
    #[error("the window ends before it begins")]
    EmptyWindow,
    /// When votes end can't be told from blocks of other chains.
    #[error(
        "governor `{governor}` counts blocks, and the set reads other chains: in what order its \
         votes end among their events can't be told"
    )]
    BlockClock {
        /// The governor.
        governor: String,
    },
    /// Nobody can say that something will never happen.
    #[error("the window never ends: it is never sure that nothing happens")]
    NeverCloses,
    /// Tiers ask for more and more of one thing.
    #[error("only what is counted of events comes in tiers")]
    NoTiers,
    /// It holds of everybody who never did anything.
    #[error("nothing that somebody does makes this true")]
    NeverBegins,
    /// An event reference that is not `<contract>.<event>`.
    #[error("`{text}` does not name an event")]
    BadEventReference {
        /// The text.
        text: String,
    },
    /// No contract of this name is configured.
    #[error("no contract `{contract}` is configured")]
    UnknownContract {
        /// The name.
        contract: String,
    },
    /// A factory creates many contracts of this name.
    #[error("`{contract}` has many addresses, whose tokens have the same ids")]
    ManyAddresses {
        /// The name.
        contract: String,
    },
    /// The contract is of another kind than needed.
    #[error("contract `{contract}` is of kind {kind}, not {needed}")]
    WrongKind {
        /// The contract.
        contract: String,
        /// Its kind.
        kind: String,
        /// The kind needed.
        needed: &'static str,
    },
    /// The contract has no such event.
    #[error("contract `{contract}` ({kind}) has no event `{event}`")]
    UnknownEvent {
        /// The contract.
        contract: String,
        /// Its kind.
        kind: String,
        /// The event.
        event: String,
    },
    /// The event has no such field.
    #[error("event `{event}` has no field `{field}`")]
    UnknownField {
        /// The event, with its contract.
        event: String,
        /// The field.
        field: String,
    },
    /// The field has a type that does not fit here.
    #[error("field `{field}` of event `{event}` is {found}, {needed} is needed")]
    WrongFieldType {
        /// The event, with its contract.
        event: String,
        /// The field.
        field: String,
        /// Its type.
        found: FieldType,
        /// What is needed.
        needed: String,
    },
    /// No signer of this name is configured.
    #[error("no signer `{signer}` is configured")]
    UnknownSigner {
        /// The name.
        signer: String,
    },
    /// No achievement of this set has the name.
    #[error("this set has no achievement `{achievement}`")]
    UnknownAchievement {
        /// The name.
        achievement: String,
    },
    /// Prerequisites that need each other can never be met.
    #[error("prerequisites form a cycle: {}", cycle.join(" → "))]
    Cycle {
        /// The names around the cycle, the first repeated at the end.
        cycle: Vec<String>,
    },
}

fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// How many names a suggestion offers.
const SUGGESTIONS: usize = 3;
/// Longer texts are like no name.
const GIVEN_BYTES_MAX: usize = 256;
/// Below this likeness (0 to 1) a name is no suggestion.
const LIKENESS: f64 = 0.66;

/// "did you mean …", or the names there are, or `none` when there are none.
pub(super) fn suggest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
    none: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .map(|name| (likeness(given, name), *name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.truncate(SUGGESTIONS);
    if !near.is_empty() {
        let names: Vec<String> = near.iter().map(|(_, name)| format!("`{name}`")).collect();
        format!("did you mean {}?", names.join(" or "))
    } else if known.is_empty() {
        none.to_owned()
    } else {
        format!("there are {}", quoted(&known))
    }
}

/// Names share beginnings (Jaro–Winkler), typing errors swap letters
/// (Damerau–Levenshtein).
fn likeness(given: &str, name: &str) -> f64 {
    // Comparing takes time and room for each pair of characters.
    if given.len() > GIVEN_BYTES_MAX {
        return 0.0;
    }
    strsim::jaro_winkler(given, name).max(strsim::normalized_damerau_levenshtein(given, name))
}

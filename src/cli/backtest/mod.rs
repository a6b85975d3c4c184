//! `meritd backtest` and `meritd diff`: rule sets tried on history, before they may
//! sign.
//!
//! The sets are compiled and folded as the daemon does it; what they are fed
//! comes from the daemon's stream, or straight from the chains' endpoints. Nothing
//! is written anywhere but where the arguments say.

mod awards;
mod cost;
mod difference;
mod endpoint;
mod plot;
mod report;
mod stream;
mod trial;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};

use super::{ConfigArgs, Failure, print};
use crate::{
    chain::adapters::Adapter,
    config::Config,
    daemon,
    domain::Name,
    rules::{Catalog, RuleError, RuleSet},
};
use cost::Cost;
use difference::Difference;
use report::Report;
use trial::Trial;

/// Largest rule file, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What history is tried on.
#[derive(Debug, Args)]
struct HistoryArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Where history is read
    #[arg(long, value_enum, default_value_t = Source::Stream)]
    source: Source,
    /// First block; else each contract's `start_block`
    #[arg(long, value_name = "A")]
    from_block: Option<u64>,
    /// Last block; else as far as there is history
    #[arg(long, value_name = "B")]
    to_block: Option<u64>,
    /// What gas costs, like "12 gwei"; else what the chain's endpoint says
    #[arg(long, value_name = "PRICE", value_parser = cost::price)]
    gas_price: Option<u128>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Where history comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// The broker: what a daemon has read, in seconds
    Stream,
    /// The chains' endpoints: no daemon is needed
    Endpoint,
}

/// What to try.
#[derive(Debug, Args)]
pub(super) struct BacktestArgs {
    /// The rule file; it need not be in the configuration's folder
    #[arg(value_name = "RULES.toml")]
    rules: PathBuf,
    #[command(flatten)]
    history: HistoryArgs,
    /// Write who earned and lost what, when, as CSV; `-` is standard output
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw how many had each achievement over time, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What to compare.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The old rule file and the new one; of one alone, the old one is the configured
    /// set of the same id
    #[arg(value_name = "RULES.toml", num_args = 1..=2, required = true)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    history: HistoryArgs,
}

/// A configuration, and what rules can refer to in it.
struct Setting {
    config: Config,
    adapters: BTreeMap<Name, Adapter>,
    catalog: Catalog,
}

impl Setting {
    fn of(args: &HistoryArgs) -> Result<Self, Failure> {
        if let (Some(from), Some(to)) = (args.from_block, args.to_block)
            && from > to
        {
            return Err(Failure::Usage(format!("--from-block {from} is above --to-block {to}")));
        }
        let config = args.config.load()?;
        let (adapters, catalog) = daemon::references(&config).map_err(Failure::usage)?;
        Ok(Self { config, adapters, catalog })
    }

    /// Compiles a rule file.
    fn compiled(&self, path: &Path) -> Result<Arc<RuleSet>, Failure> {
        let shown = path.display().to_string();
        let unreadable = |why: String| {
            Failure::Usage(format!(
                "{shown}: {why}; name a file with a rule set, see docs/rules.md"
            ))
        };
        let size = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(format!("it has {size} bytes, more than {FILE_BYTES_MAX}")));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        self.compile(&shown, &text)
    }

    fn compile(&self, shown: &str, text: &str) -> Result<Arc<RuleSet>, Failure> {
        let set = RuleSet::compile(shown, text, &self.catalog);
        set.map(Arc::new).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(RuleError::to_string).collect();
            Failure::Usage(lines.join("\n"))
        })
    }

    /// The configured set of this id.
    fn configured(&self, id: &Name) -> Result<Arc<RuleSet>, Failure> {
        for file in &self.config.rules {
            let set = self.compile(&file.path.display().to_string(), &file.text)?;
            if set.id() == id {
                return Ok(set);
            }
        }
        Err(Failure::Usage(format!(
            "no configured rule set has the id `{id}`: name the old file before the new one"
        )))
    }

    /// Tries sets on the same history.
    fn tried(
        &self,
        sets: &[Arc<RuleSet>],
        args: &HistoryArgs,
    ) -> Result<(Vec<Trial>, Cost), Failure> {
        let mut trials: Vec<Trial> = sets.iter().map(|set| Trial::of(Arc::clone(set))).collect();
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
        let cost = runtime.block_on(async {
            match args.source {
                Source::Stream => stream::read(self, args, &mut trials).await?,
                Source::Endpoint => endpoint::read(self, args, &mut trials).await?,
            }
            let set = sets.last().ok_or_else(|| Failure::Usage("name a rule file".to_owned()))?;
            Ok::<Cost, Failure>(Cost::of(self, set, args.gas_price).await)
        })?;
        Ok((trials, cost))
    }
}

/// Tries one set.
pub(super) fn run(args: &BacktestArgs) -> Result<(), Failure> {
    let setting = Setting::of(&args.history)?;
    let set = setting.compiled(&args.rules)?;
    let (trials, cost) = setting.tried(&[set], &args.history)?;
    let Some(trial) = trials.first() else { return Ok(()) };
    let report = Report::of(trial, &cost);
    let to_stdout = args.csv.as_deref() == Some(Path::new("-"));
    match &args.csv {
        Some(_) if to_stdout => return print(report.csv()?.trim_end()),
        Some(path) => write(path, report.csv()?.as_bytes())?,
        None => {}
    }
    if let Some(path) = &args.svg {
        write(path, plot::svg(trial).map_err(Failure::Failed)?.as_bytes())?;
    }
    print(if args.history.json { report.json() } else { report.text() })
}

/// Compares two sets.
pub(super) fn diff(args: &DiffArgs) -> Result<(), Failure> {
    let setting = Setting::of(&args.history)?;
    let sets = match args.rules.as_slice() {
        [old, new, ..] => [setting.compiled(old)?, setting.compiled(new)?],
        [new] => {
            let new = setting.compiled(new)?;
            [setting.configured(new.id())?, new]
        }
        [] => return Err(Failure::Usage("name a rule file".to_owned())),
    };
    let (trials, cost) = setting.tried(&sets, &args.history)?;
    let [old, new] = trials.as_slice() else { return Ok(()) };
    let difference = Difference::of(old, new, &cost);
    print(if args.history.json { difference.json() } else { difference.text() })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes)
        .map_err(|error| Failure::Failed(format!("{} can't be written: {error}", path.display())))
}

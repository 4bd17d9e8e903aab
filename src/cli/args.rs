//! What the commands take.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// How much of a model's capability can others distil through its API, and what do defenses cost?
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Debug)]
pub struct Common {
    /// Folder of data sets (before RETORT_DATA and `data.root`)
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Say less on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run an experiment: one or many cells
    Run(Run),
    /// Show the cells of an experiment and what they would cost
    Plan(Plan),
    /// Check a config without running it
    Check(Check),
    /// Progress of a run folder
    Status(Status),
    /// Write report.html and figures, print the table
    Report(Report),
    /// Recompute cells of a run and compare records byte for byte
    Verify(Verify),
    /// Set published numbers against ours
    Reproduce(Reproduce),
    /// Serve the gateway of a config over HTTP on loopback
    Serve(Serve),
    /// Score predictions of a student that learned elsewhere through `retort serve`
    Score(Score),
    /// List what configs can name
    List(List),
    /// Data sets: where they come from, and whether they are here
    Data(Data),
    /// Print the JSON Schema of config files
    Schema {
        /// Of scenarios of campaigns
        #[arg(long)]
        campaign: bool,
        /// Of language experiments
        #[arg(long, conflicts_with = "campaign")]
        language: bool,
    },
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Md,
    Csv,
    Json,
}

/// A config and its overrides.
#[derive(Args, Debug)]
pub struct Config {
    /// Config file (TOML)
    pub config: PathBuf,
    /// Overrides: key=value, +key=value, ++key=value, ~key
    #[arg(value_name = "KEY=VALUE", allow_hyphen_values = false)]
    pub overrides: Vec<String>,
    /// Sweep over comma lists and range(..) in overrides
    #[arg(long, short)]
    pub multirun: bool,
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub config: Config,
    /// Folder of this run; the same command resumes it
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start a new run even where an unfinished one waits
    #[arg(long)]
    pub new: bool,
    /// Cells at a time; 0 takes one a core
    #[arg(long, short, default_value_t = 0)]
    pub jobs: usize,
    /// Form of the table on stdout
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Stop at the first failed cell
    #[arg(long)]
    pub fail_fast: bool,
}

#[derive(Args, Debug)]
pub struct Plan {
    #[command(flatten)]
    pub config: Config,
    /// Form of the listing
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    pub config: Config,
    /// Print the config with every default
    #[arg(long)]
    pub resolved: bool,
}

#[derive(Args, Debug)]
pub struct Status {
    /// Run folder
    pub run: PathBuf,
}

#[derive(Args, Debug)]
pub struct Report {
    /// Run folders
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Folder of the report; the first run's own by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Form of the table on stdout
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct Verify {
    /// Run folder
    pub run: PathBuf,
    /// Cells to recompute, spread evenly over the run
    #[arg(long, default_value_t = 5)]
    pub cells: usize,
}

#[derive(Args, Debug)]
pub struct Reproduce {
    /// Folders under `experiments/`, by name
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// Every experiment that has an `expected.toml`
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Only those whose rows take less than two minutes each on two cores
    #[arg(long)]
    pub quick: bool,
    /// Folder of experiments
    #[arg(long, value_name = "DIR", default_value = "experiments")]
    pub experiments: PathBuf,
    /// Folder of the runs; the same command resumes them
    #[arg(long, value_name = "DIR", default_value = "runs/reproduce")]
    pub out: PathBuf,
    /// Cells at a time; 0 takes one a core
    #[arg(long, short, default_value_t = 0)]
    pub jobs: usize,
    /// Form of the table on stdout
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    pub config: Config,
    /// Port on 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// Arm whose defenses stand in front
    #[arg(long, default_value = "none")]
    pub arm: String,
    /// Seed of split and teacher; the config's first by default
    #[arg(long)]
    pub seed: Option<u64>,
    /// Budget of the student's accounts; the config's largest by default
    #[arg(long)]
    pub queries: Option<u64>,
    /// Folder for keys, inputs and the ledger
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Args, Debug)]
pub struct Score {
    /// Folder that `retort serve --out` wrote
    pub run: PathBuf,
    /// Predictions on its test inputs: NPY, [n, classes] probabilities or [n] class numbers
    pub predictions: PathBuf,
    /// Name of the student in tables
    #[arg(long, default_value = "external")]
    pub name: String,
    /// Form of the scores on stdout
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Datasets,
    Models,
    Strategies,
    Objectives,
    Recoveries,
    Defenses,
    Detectors,
    Metrics,
    /// Defenses of a text API
    TextDefenses,
    /// What students of text minimise
    TextObjectives,
}

#[derive(Args, Debug)]
pub struct List {
    /// What to list
    #[arg(value_enum)]
    pub kind: Kind,
    /// Form of the listing
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

#[derive(Args, Debug)]
pub struct Data {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Subcommand, Debug)]
pub enum DataCommand {
    /// Source, licence, files and their hashes
    Check {
        /// Name of a data set
        name: String,
    },
}

impl From<Format> for retort::report::table::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Md => Self::Md,
            Format::Csv => Self::Csv,
            Format::Json => Self::Json,
        }
    }
}

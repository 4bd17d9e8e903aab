//! The command line: the only place that prints. stdout is data, stderr is progress.

mod args;
mod campaign;
mod check;
mod data;
mod estimate;
mod language;
mod list;
mod load;
mod progress;
mod report;
mod reproduce;
mod run;
mod running;
mod score;
mod serve;
mod signal;

use std::process::ExitCode;

use clap::Parser as _;
use retort::{Error, Result};

use args::{Cli, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    match dispatch(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(Error::Interrupted) => {
            eprintln!("{}", Error::Interrupted);
            ExitCode::from(4)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: &Cli) -> Result<u8> {
    match &cli.command {
        Command::Run(a) => run::run(a, &cli.common),
        Command::Plan(a) => check::plan(a, &cli.common),
        Command::Check(a) => check::check(a, &cli.common),
        Command::Status(a) => report::status(a),
        Command::Report(a) => report::report(a, &cli.common),
        Command::Verify(a) => run::verify(a, &cli.common),
        Command::Reproduce(a) => reproduce::reproduce(a, &cli.common),
        Command::Serve(a) => serve::serve(a, &cli.common),
        Command::Score(a) => score::score(a, &cli.common),
        Command::List(a) => list::list(a),
        Command::Data(a) => data::data(a, &cli.common),
        Command::Schema { campaign, language } => {
            use retort::experiment::{config::schema, language::spec::LanguageSpec, spec::Spec};
            put(&match (campaign, language) {
                (true, _) => schema::<retort::campaign::spec::Scenario>(),
                (_, true) => schema::<LanguageSpec>(),
                _ => schema::<Spec>(),
            });
            Ok(0)
        }
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(
                *shell,
                &mut <Cli as clap::CommandFactory>::command(),
                "retort",
                &mut out,
            );
            put(&String::from_utf8_lossy(&out));
            Ok(0)
        }
    }
}

/// Prints data to stdout. A closed pipe is not an error.
pub fn put(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(out, "{text}{end}");
}

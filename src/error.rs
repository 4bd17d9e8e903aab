//! One error type for the whole crate. Every variant says where, what was found and what was expected.

use std::path::PathBuf;

/// Result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong. [`Error::exit_code`] maps it to the process exit code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A config file (or command-line override) that cannot be used as written.
    #[error("{0}")]
    Config(Box<ConfigError>),

    /// A data or model file that is not what it should be.
    /// `place` is a byte offset, a line, or a row and column.
    #[error("{}: {place}: found {found}, expected {expected}", file.display())]
    Data { file: PathBuf, place: String, found: String, expected: String },

    /// Two things that should have matching shapes.
    #[error("{what}: expected shape {expected:?}, got {found:?}")]
    Shape { what: &'static str, expected: Vec<usize>, found: Vec<usize> },

    /// A request or argument outside its domain.
    #[error("{what}: found {found}, expected {expected}")]
    Input { what: String, found: String, expected: String },

    /// Reading or writing failed in the operating system.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },

    /// Training met a value that is not finite.
    #[error("training diverged at step {step} (last finite loss {last_loss:?})")]
    Diverged { step: usize, last_loss: Option<f64> },

    /// A compute device that does not exist here, or that this build cannot drive.
    #[error("device `{asked}`: {why}")]
    Device { asked: String, why: String },

    /// A server on this machine that answered wrongly or not at all.
    #[error("{url}: found {found}, expected {expected}")]
    Remote { url: String, found: String, expected: String },

    /// The work was stopped from outside after saving what was finished.
    #[error("interrupted; finished cells are saved, the same command resumes")]
    Interrupted,

    /// A broken invariant or a failure inside a library.
    #[error("internal: {0}")]
    Internal(String),
}

/// What is wrong with a config, and where.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Name of the file, or `command line`.
    pub file: String,
    /// 1-based line and column, where known.
    pub place: Option<(usize, usize)>,
    /// Dotted key the message is about, such as `defense[0].stack[0].digits`.
    pub key: String,
    /// The source line, for the caret.
    pub line_text: Option<String>,
    /// Number of characters under the caret.
    pub width: usize,
    /// What was found there.
    pub found: String,
    /// What would have been right.
    pub expected: String,
    /// The nearest valid choice, where there is one.
    pub nearest: Option<String>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}: found {}, expected {}", self.key, self.found, self.expected)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        if let (Some(text), Some((line, column))) = (&self.line_text, self.place) {
            let gutter = line.to_string();
            let caret = "^".repeat(self.width.max(1));
            write!(
                f,
                "\n {gutter} | {text}\n {:>pad$} | {:>col$}{caret}",
                "",
                "",
                pad = gutter.len(),
                col = column - 1
            )?;
        }
        Ok(())
    }
}

impl Error {
    /// 2 for usage, config or input (do not retry), 3 for a failed cell, 4 for a saved stop, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Data { .. }
            | Self::Input { .. }
            | Self::Io { .. }
            | Self::Device { .. }
            | Self::Remote { .. } => 2,
            Self::Diverged { .. } => 3,
            Self::Interrupted => 4,
            Self::Shape { .. } | Self::Internal(_) => 1,
        }
    }

    /// A config error that knows its key but not yet its file; the config reader adds the place.
    pub fn config(
        key: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Config(Box::new(ConfigError {
            key: key.into(),
            found: found.into(),
            expected: expected.into(),
            ..ConfigError::default()
        }))
    }

    /// The same error with `prefix` in front of its key, if it is about a config.
    pub fn under(self, prefix: &str) -> Self {
        match self {
            Self::Config(mut e) => {
                let dot = if e.key.is_empty() { "" } else { "." };
                e.key = format!("{prefix}{dot}{}", e.key);
                Self::Config(e)
            }
            other => other,
        }
    }

    /// An input error: an argument or request outside its domain.
    pub fn input(
        what: impl Into<String>,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Input { what: what.into(), found: found.to_string(), expected: expected.into() }
    }

    /// A data error at a place in a file.
    pub fn data(
        file: impl Into<PathBuf>,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Data {
            file: file.into(),
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }

    /// Adds the path to an I/O error: `.map_err(Error::io(&path))`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Refuses a shape other than the expected one.
pub fn expect_shape(what: &'static str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Shape { what, expected: expected.to_vec(), found: found.to_vec() })
}

/// The first item that was there before.
pub fn first_repeat<T: Ord>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        if seen.contains(&item) {
            return Some(item);
        }
        seen.insert(item);
    }
    None
}

/// Refuses a name that would not do as a part of a file's name, in a config at `key`.
pub fn check_name(key: &str, name: &str) -> Result<()> {
    let ok = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !name.starts_with('.');
    if ok {
        return Ok(());
    }
    Err(Error::config(
        key,
        format!("`{}`", name.escape_debug()),
        "1 to 64 letters, digits, `-`, `_` or `.`, not starting with `.`",
    ))
}

/// The candidate nearest to `word` (Damerau-Levenshtein), if any is near enough to be a slip of the hand.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(word, c), c))
        .filter(|(d, c)| *d <= (word.len().max(c.len()) / 2).max(2))
        .min_by_key(|(d, c)| (*d, c.len()))
        .map(|(_, c)| c.to_string())
}

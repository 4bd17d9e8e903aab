//! Parts of a data set, each used for one purpose only, so that no number is measured on rows that
//! somebody learned from. A split is drawn from the run's seed; it knows nothing of who uses it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetSpec};
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};

/// Sizes of the parts, in rows. The defaults use every row of the embedded digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SplitSpec {
    /// Rows the teacher learns from.
    pub teacher: usize,
    /// Rows students may ask.
    pub pool: usize,
    /// Rows with true labels that everyone has.
    pub public: usize,
    /// Rows honest users ask.
    pub traffic: usize,
    /// Rows everyone is measured on.
    pub test: usize,
    /// Which rows those may be.
    #[serde(skip_serializing_if = "usual")]
    pub test_from: TestPart,
    /// Which rows students may ask.
    #[serde(skip_serializing_if = "usual")]
    pub pool_from: PoolPart,
    /// Classes that the pool has no rows of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pool_without: Vec<usize>,
    /// Another data set of the same layout, whose rows students ask in the place of the teacher's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_dataset: Option<DatasetSpec>,
}

/// Which rows everyone may be measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestPart {
    /// Any.
    #[default]
    Any,
    /// Those of the set's own test part, as published; everything else then lies in its training part.
    Official,
}

/// Which rows students may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolPart {
    /// Rows of no other purpose.
    #[default]
    Rest,
    /// The teacher's own rows, as where a transfer set is its training set.
    Teacher,
    /// Rows of the set's own test part on which nobody is measured.
    Test,
}

fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for SplitSpec {
    fn default() -> Self {
        let (test_from, pool_from) = (TestPart::Any, PoolPart::Rest);
        let (pool_without, pool_dataset) = (Vec::new(), None);
        Self {
            teacher: 800,
            pool: 400,
            public: 100,
            traffic: 137,
            test: 360,
            test_from,
            pool_from,
            pool_without,
            pool_dataset,
        }
    }
}

impl SplitSpec {
    /// Refuses classes that the pool's set has not.
    fn check_classes(&self, pool: &Dataset) -> Result<()> {
        match self.pool_without.iter().find(|class| **class >= pool.classes) {
            None => Ok(()),
            Some(class) => {
                let expected = format!("classes below {}", pool.classes);
                Err(Error::config("split.pool-without", class.to_string(), expected))
            }
        }
    }

    /// True for rows that may be in the pool.
    fn asked<'a>(&'a self, pool: &'a Dataset) -> impl Fn(usize) -> bool + 'a {
        |row| !self.pool_without.contains(&pool.labels[row])
    }
}

/// Row numbers of a data set, each used for one purpose only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the teacher learns from.
    pub teacher: Vec<usize>,
    /// What students may ask; rows of `pool-dataset` where there is one.
    pub pool: Vec<usize>,
    /// Rows with true labels that everyone has: seeds, and the `public` reference.
    pub public: Vec<usize>,
    /// What honest users ask.
    pub traffic: Vec<usize>,
    /// What everyone is measured on.
    pub test: Vec<usize>,
    /// Rows left over, that nobody sees: of the same part of the set as the teacher's.
    pub rest: Vec<usize>,
}

/// Rows in random order, of which each part takes the first that suit it.
struct Rows<'a> {
    name: &'a str,
    order: Vec<usize>,
}

impl Rows<'_> {
    /// The first `n` rows that `suit`, taken away.
    fn take(&mut self, part: &str, n: usize, suit: impl Fn(usize) -> bool) -> Result<Vec<usize>> {
        let (mut taken, mut rest) = (Vec::new(), Vec::new());
        for &row in &self.order {
            if taken.len() < n && suit(row) { taken.push(row) } else { rest.push(row) }
        }
        if taken.len() < n {
            let expected =
                format!("at most the {} rows of {} that are left", taken.len(), self.name);
            return Err(Error::config(format!("split.{part}"), n.to_string(), expected));
        }
        self.order = rest;
        Ok(taken)
    }
}

impl Split {
    /// Cuts one random order of the rows into the parts of `spec`. Rows left over are the rest. `strangers` is
    /// the spec's `pool-dataset`, loaded.
    pub fn draw(
        spec: &SplitSpec,
        data: &Dataset,
        strangers: Option<&Dataset>,
        seed: Seed,
    ) -> Result<Self> {
        let Some(strangers) = strangers else { return Self::of_one(spec, data, seed) };
        let (len, (low, high)) = (strangers.shape.len(), strangers.range);
        if len != data.shape.len() || low < data.range.0 || high > data.range.1 {
            let found = format!("{}, {len} features from {low} to {high}", strangers.name);
            let (len, (low, high)) = (data.shape.len(), data.range);
            let expected =
                format!("rows as those of {}: {len} features from {low} to {high}", data.name);
            return Err(Error::config("split.pool-dataset", found, expected));
        }
        if spec.pool_from != PoolPart::Rest {
            let found = "another part beside `pool-dataset`";
            return Err(Error::config("split.pool-from", found, "one of both"));
        }
        let without = SplitSpec { pool: 0, pool_without: Vec::new(), ..spec.clone() };
        let mut split = Self::of_one(&without, data, seed)?;
        spec.check_classes(strangers)?;
        let mut rng = seed.child("split").child("strangers").rng();
        let order = permutation(&mut rng, strangers.labels.len());
        let mut rows = Rows { name: &strangers.name, order };
        split.pool = rows.take("pool", spec.pool, spec.asked(strangers))?;
        Ok(split)
    }

    fn of_one(spec: &SplitSpec, data: &Dataset, seed: Seed) -> Result<Self> {
        spec.check_classes(data)?;
        let rows = data.labels.len();
        let stream = seed.child("split");
        let (name, all) = (&data.name[..], |_| true);
        let own = match spec.test_from {
            TestPart::Any => None,
            TestPart::Official => Some(data.test_from.ok_or_else(|| {
                let found = format!("`official` for `{name}`, which has no test part of its own");
                Error::config(
                    "split.test-from",
                    found,
                    "`any`, or a set that was published with one",
                )
            })?),
        };
        let mut rest = Rows { name, order: permutation(&mut stream.rng(), own.unwrap_or(rows)) };
        let teacher = rest.take("teacher", spec.teacher, all)?;
        let mut published = own.map(|first| {
            let order = permutation(&mut stream.child("test").rng(), rows - first);
            Rows { name, order: order.into_iter().map(|row| first + row).collect() }
        });
        let asked = spec.asked(data);
        let pool = match spec.pool_from {
            PoolPart::Rest => Some(rest.take("pool", spec.pool, &asked)?),
            PoolPart::Teacher => {
                let mut rows = Rows { name: "the teacher", order: teacher.clone() };
                Some(rows.take("pool", spec.pool, &asked)?)
            }
            PoolPart::Test => None,
        };
        let public = rest.take("public", spec.public, all)?;
        let traffic = rest.take("traffic", spec.traffic, all)?;
        let test = published.as_mut().unwrap_or(&mut rest).take("test", spec.test, all)?;
        let pool = match (pool, published) {
            (Some(pool), _) => pool,
            (None, Some(mut published)) => published.take("pool", spec.pool, asked)?,
            (None, None) => {
                let expected = "`rest`, or `test-from = \"official\"` beside it";
                return Err(Error::config("split.pool-from", "`test`", expected));
            }
        };
        Ok(Self { teacher, pool, public, traffic, test, rest: rest.order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;
    use crate::model::InputShape;

    fn rows(split: &Split) -> Vec<usize> {
        let Split { teacher, pool, public, traffic, test, .. } = split;
        [teacher, pool, public, traffic, test].into_iter().flatten().copied().collect()
    }

    #[test]
    fn parts_share_no_row_and_the_default_covers_the_digits() {
        let data = digits().unwrap();
        for seed in 0..50 {
            let split = Split::draw(&SplitSpec::default(), &data, None, Seed::new(seed)).unwrap();
            let sizes = [&split.teacher, &split.pool, &split.public, &split.traffic, &split.test];
            assert_eq!(sizes.map(Vec::len), [800, 400, 100, 137, 360]);
            let mut all = rows(&split);
            all.sort_unstable();
            assert_eq!(all, (0..1797).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_that_no_part_takes_are_left() {
        let data = digits().unwrap();
        let spec = SplitSpec { pool: 300, ..SplitSpec::default() };
        let split = Split::draw(&spec, &data, None, Seed::new(2)).unwrap();
        let mut all = [rows(&split), split.rest.clone()].concat();
        all.sort_unstable();
        assert_eq!((split.rest.len(), all), (100, (0..1797).collect()));
    }

    #[test]
    fn the_seed_alone_decides() {
        let data = digits().unwrap();
        let draw = |s| Split::draw(&SplitSpec::default(), &data, None, Seed::new(s)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1).test, draw(2).test);
    }

    #[test]
    fn every_class_is_found_in_every_default_part() {
        let data = digits().unwrap();
        let split = Split::draw(&SplitSpec::default(), &data, None, Seed::new(0)).unwrap();
        for part in [&split.teacher, &split.pool, &split.public, &split.traffic, &split.test] {
            let mut seen = [false; 10];
            part.iter().for_each(|&row| seen[data.labels[row]] = true);
            assert!(seen.iter().all(|s| *s));
        }
    }

    #[test]
    fn more_rows_than_the_set_has_are_refused() {
        let data = digits().unwrap();
        for test in [361, usize::MAX] {
            let spec = SplitSpec { test, ..SplitSpec::default() };
            let error = Split::draw(&spec, &data, None, Seed::new(0)).unwrap_err();
            let Error::Config(config) = error else { panic!("{error}") };
            assert_eq!(config.key, "split.test");
            assert!(config.expected.contains("the 360 rows of digits that are left"), "{config}");
        }
    }

    #[test]
    fn a_published_test_part_is_kept_apart_and_may_be_asked_where_nobody_is_measured() {
        let data = digits().unwrap().with_test_part(1500);
        let spec = SplitSpec {
            test: 200,
            pool: 90,
            test_from: TestPart::Official,
            pool_from: PoolPart::Test,
            ..SplitSpec::default()
        };
        let split = Split::draw(&spec, &data, None, Seed::new(1)).unwrap();
        let mut late = [&split.test[..], &split.pool].concat();
        late.sort_unstable();
        late.dedup();
        assert_eq!((late.len(), late[0] >= 1500), (290, true));
        let early = [&split.teacher, &split.public, &split.traffic];
        assert!(early.into_iter().flatten().all(|&row| row < 1500));

        let alone = SplitSpec { pool_from: PoolPart::Test, ..SplitSpec::default() };
        let message = Split::draw(&alone, &data, None, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("split.pool-from: found `test`"), "{message}");
        let message =
            Split::draw(&spec, &digits().unwrap(), None, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("`official` for `digits`, which has no test part"), "{message}");
    }

    #[test]
    fn a_pool_of_the_teachers_rows_may_lack_classes() {
        let data = digits().unwrap();
        let spec = SplitSpec {
            pool: 600,
            pool_from: PoolPart::Teacher,
            pool_without: vec![3],
            ..SplitSpec::default()
        };
        let split = Split::draw(&spec, &data, None, Seed::new(1)).unwrap();
        assert_eq!(split.pool.len(), 600);
        assert!(split.pool.iter().all(|row| split.teacher.contains(row)));
        assert!(split.pool.iter().all(|&row| data.labels[row] != 3));
        let usual = Split::draw(&SplitSpec::default(), &data, None, Seed::new(1)).unwrap();
        assert_eq!(split.teacher, usual.teacher);

        let most = SplitSpec { pool: 800, ..spec.clone() };
        let message = Split::draw(&most, &data, None, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("split.pool: found 800, expected at most the"), "{message}");
        let unknown = SplitSpec { pool_without: vec![10], ..spec };
        let message = Split::draw(&unknown, &data, None, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("split.pool-without: found 10"), "{message}");
    }

    #[test]
    fn a_misspelt_part_is_refused() {
        assert!(toml::from_str::<SplitSpec>("poool = 3").is_err());
        assert_eq!(toml::from_str::<SplitSpec>("pool = 3").unwrap().pool, 3);
    }

    #[test]
    fn a_pool_of_another_set_leaves_all_other_parts_as_they_were() {
        let data = digits().unwrap();
        let (n, shape) = (50, InputShape::Image { c: 1, h: 8, w: 8 });
        let inputs = ndarray::Array2::from_elem((n, 64), 0.5);
        let labels = (0..n).map(|i| i % 2).collect::<Vec<_>>();
        let other = Dataset::new("other", inputs, labels, 2, shape, (0.0, 1.0)).unwrap();
        let spec = SplitSpec { pool: 20, pool_without: vec![1], ..SplitSpec::default() };
        let draw = |spec: &SplitSpec, from| Split::draw(spec, &data, from, Seed::new(1));
        let split = draw(&spec, Some(&other)).unwrap();
        assert_eq!(split.pool.len(), 20);
        assert!(split.pool.iter().all(|&row| row < n && other.labels[row] == 0));
        let without = draw(&SplitSpec { pool: 0, pool_without: vec![], ..spec.clone() }, None);
        assert_eq!(Split { pool: vec![], ..split }, without.unwrap());

        let few = draw(&SplitSpec { pool: 26, ..spec.clone() }, Some(&other)).unwrap_err();
        assert!(few.to_string().contains("at most the 25 rows of other"), "{few}");
        let class = SplitSpec { pool_without: vec![2], ..spec.clone() };
        let class = draw(&class, Some(&other)).unwrap_err().to_string();
        assert!(class.contains("split.pool-without: found 2, expected classes below 2"), "{class}");
        let both = SplitSpec { pool_from: PoolPart::Teacher, ..spec.clone() };
        assert!(draw(&both, Some(&other)).is_err());
        let far = Dataset { range: (0.0, 255.0), ..other.clone() };
        let far = draw(&spec, Some(&far)).unwrap_err().to_string();
        let expected = "split.pool-dataset: found other, 64 features from 0 to 255, expected rows as those of \
                        digits: 64 features from 0 to 1";
        assert!(far.contains(expected), "{far}");
    }
}

//! One seed: who teaches, what is held out, what the undefended teacher says, and what was asked of it before.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;

use super::exam::{Exam, Report, Share, Sheet, most};
use super::inversion::{self, Pair};
use super::master::{Disk, Master};
use super::probes::Probes;
use super::record::Honest;
use super::spec::{ArmSpec, LanguageSpec, ProxySpec, StudentSpec, Teacher};
use super::start::Start;
use super::student::{self, Exchange, Student};
use super::{CONTEXT, bytes, lesson, teacher};
use crate::data::suite::{Mix, Suite};
use crate::defense::text::{Asked, Hook, Proxy, TextBatch, TextDefenseSpec, TextStack};
use crate::error::{Error, Result};
use crate::model::Cache;
use crate::model::language::{Language, Reveal, Sampling};
use crate::model::llama::Tunable;
use crate::oracle::AccountId;
use crate::oracle::completion::Completion;
use crate::seed::Seed;

/// Prompts that the teacher answers together.
const BATCH: usize = 64;
/// Who distils, and who does not.
pub const STUDENT: AccountId = AccountId(0);
const HONEST: AccountId = AccountId(1);

/// What several cells use; the first computes it.
type Shared<T> = Mutex<BTreeMap<String, Arc<OnceLock<std::result::Result<Arc<T>, String>>>>>;

/// One seed of a variant.
pub struct Ground {
    pub suite: Suite,
    pub mix: Mix,
    pub teacher: Master,
    /// Streams of this seed.
    pub root: Seed,
    /// Held-out problems, the undefended teacher's answers and their marks.
    pub exam: Exam,
    pub sheet: Sheet,
    pub report: Report,
    /// None of a teacher whose tokens are not bytes.
    pub probes: Option<Probes>,
    /// Answers to the prompts of a strategy, as many as the largest budget.
    asked: Shared<Vec<Exchange>>,
    /// What honest users got of an arm.
    honest: Shared<Honest>,
    /// What defenders hold in the place of students.
    proxy: Shared<Proxy>,
    /// What students rebuild scratchpads with.
    inverters: Shared<Student>,
    /// The teacher as an arm trained it.
    trained: Shared<Language>,
    shelf: Arc<Shelf>,
}

/// Models from disk, each read once for all seeds.
#[derive(Default)]
pub struct Shelf {
    teachers: Shared<Disk>,
    /// What students start from.
    starts: Shared<Tunable>,
}

/// An arm at work: its layers, and the teacher behind them.
pub struct Behind {
    pub stack: TextStack,
    pub teacher: Master,
}

impl Ground {
    /// Opens or trains the teacher of `seed` and has it sit its exam.
    pub fn lay(
        spec: &LanguageSpec,
        seed: u64,
        cache: &Cache,
        shelf: &Arc<Shelf>,
        threads: usize,
    ) -> Result<Self> {
        let root = Seed::new(seed).child("language");
        let suite = Suite::new(spec.suite.ranges.clone())?;
        let bytes = |teacher| Master::Bytes(Arc::new(teacher));
        let teacher = match &spec.teacher {
            Teacher::Shipped => bytes(teacher::shipped()?),
            Teacher::Trained { recipe } => {
                bytes(teacher::trained(recipe, root.child("teacher"), cache, threads)?)
            }
            Teacher::File { path } => bytes(teacher::of_file(Path::new(path))?),
            Teacher::Llama { path } => {
                let open = || Disk::open(Path::new(path), spec.api.top_logprobs > 0);
                Master::Disk(shared(&shelf.teachers, path.clone(), open)?)
            }
        };
        let exam = Exam::set(&suite, spec.suite.items, root.child("exam"))?;
        let sheet = exam.sit(&teacher, threads)?;
        let report = Report { bits_per_byte: Some(exam.bits(&teacher)?), ..exam.mark(&sheet) };
        let probes = match &teacher {
            Master::Bytes(teacher) => Some(Probes::of(&exam, teacher)?),
            Master::Disk(_) => None,
        };
        let mix = Mix::new(spec.suite.mix)?;
        Ok(Self {
            suite,
            mix,
            teacher,
            root,
            exam,
            sheet,
            report,
            probes,
            asked: Shared::default(),
            honest: Shared::default(),
            proxy: Shared::default(),
            inverters: Shared::default(),
            trained: Shared::default(),
            shelf: Arc::clone(shelf),
        })
    }

    /// The layers of an arm, fresh, and the teacher as they want it.
    pub fn behind(&self, spec: &LanguageSpec, stack: &[TextDefenseSpec]) -> Result<Behind> {
        let key = self.root.child("defense");
        let proxy = match stack.iter().any(TextDefenseSpec::needs_proxy) {
            true => Some(shared(&self.proxy, label(&spec.proxy)?, || self.stand_in(spec))?),
            false => None,
        };
        let proxy = proxy.as_deref();
        let trains = stack.iter().any(|layer| layer.hook() == Hook::Train);
        let teacher = match &self.teacher {
            Master::Bytes(teacher) if trains => {
                let key_of = label(&(stack, &spec.proxy))?;
                let train = || TextStack::train(stack, teacher, key, proxy);
                Master::Bytes(shared(&self.trained, key_of, train)?)
            }
            teacher => teacher.clone(),
        };
        Ok(Behind { stack: TextStack::build(stack, key, proxy)?, teacher })
    }

    /// A student before it has learnt anything here.
    pub fn start(&self, spec: &StudentSpec, seed: Seed) -> Result<Student> {
        match &spec.start {
            None => Student::fresh(spec.model, seed),
            Some(start) => Ok(Student::tuned(&*self.tunable(start)?)),
        }
    }

    /// The model from disk that a student starts from.
    pub fn tunable(&self, start: &Start) -> Result<Arc<Tunable>> {
        shared(&self.shelf.starts, start.path().display().to_string(), || start.load())
    }

    /// The model with which a student rebuilds scratchpads, learnt from `worked` examples: the same behind every arm,
    /// whatever the budget.
    pub fn inverter(
        &self,
        spec: &LanguageSpec,
        student: &StudentSpec,
        worked: &[Pair],
    ) -> Result<Arc<Student>> {
        let seed = self.root.child("student").child("inverter");
        // Rounds of asking train their students shorter than the last one.
        let key = label(&(student.model, &student.start, worked.len(), &spec.training))?;
        shared(&self.inverters, key, || {
            inversion::inverter(&self.start(student, seed)?, &spec.training, worked, seed)
        })
    }

    /// A student of the defender's own, and problems that others are not to learn.
    fn stand_in(&self, spec: &LanguageSpec) -> Result<Proxy> {
        let ProxySpec { model, exchanges, lessons } = spec.proxy;
        let seed = self.root.child("proxy");
        let known = lesson::problems(&self.suite, &self.mix, exchanges, seed.child("known"));
        let pairs: Vec<_> = known.iter().map(|p| (p.prompt.clone(), p.completion())).collect();
        let model = student::learn(model, &spec.training, &pairs, seed)?;
        let kept = lesson::problems(&self.suite, &self.mix, lessons, seed.child("lessons"));
        let pairs: Vec<_> = kept.iter().map(|p| (p.prompt.clone(), p.completion())).collect();
        Ok(Proxy { model, lessons: student::corpus(&pairs)? })
    }

    /// The first `n` exchanges of a student in an arm. Whoever has a smaller budget holds the first of whoever has a
    /// larger one.
    pub fn exchanges(
        &self,
        spec: &LanguageSpec,
        arm: &ArmSpec,
        student: &StudentSpec,
        n: usize,
    ) -> Result<Vec<Exchange>> {
        let written = arm.stack.iter().any(|layer| layer.hook() != Hook::Reply);
        let behind: &[_] = if written { &arm.stack } else { &[] };
        let key = label(&(&student.prompts, &student.sampling, student.votes, behind))?;
        let all = shared(&self.asked, key, || {
            let seed = self.root.child("questions");
            let most = spec.most() as usize;
            let asked = most.div_ceil(student.votes);
            let prompts = student.prompts.draw(&self.suite, &self.mix, asked, seed)?;
            let again = |prompt| std::iter::repeat_n(prompt, student.votes);
            let prompts: Vec<Vec<u8>> = prompts.into_iter().flat_map(again).take(most).collect();
            let mut behind = self.behind(spec, behind)?;
            let numbers: Vec<u64> = (0..prompts.len() as u64).collect();
            let answers =
                self.answers(spec, &mut behind, STUDENT, &prompts, &numbers, student.sampling)?;
            let pairs = prompts.into_iter().zip(answers);
            Ok(pairs.map(|(prompt, answer)| Exchange { prompt, answer }).collect())
        })?;
        let mine = all.iter().take(n).cloned();
        if written {
            return Ok(mine.collect());
        }
        let mut stack = self.behind(spec, &arm.stack)?.stack;
        let each = mine.map(|Exchange { prompt, answer }| {
            let asked = Asked { account: STUDENT, prompt: &prompt };
            let answer = stack.reply(&asked, answer);
            Exchange { prompt, answer }
        });
        Ok(each.collect())
    }

    /// Answers of the teacher behind an arm, each drawn from the stream of its number.
    pub fn answers(
        &self,
        spec: &LanguageSpec,
        behind: &mut Behind,
        account: AccountId,
        prompts: &[Vec<u8>],
        numbers: &[u64],
        sampling: Sampling,
    ) -> Result<Vec<Completion>> {
        let k = spec.api.top_logprobs;
        let reveal = (k > 0).then_some(Reveal::Own { k });
        let seed = self.root.child("answers");
        let mut all = Vec::with_capacity(prompts.len());
        for (batch, numbers) in prompts.chunks(BATCH).zip(numbers.chunks(BATCH)) {
            let streams: Vec<Seed> = numbers.iter().map(|&i| seed.nth("answer", i)).collect();
            let accounts = vec![account; batch.len()];
            let batch = TextBatch {
                accounts: &accounts,
                prompts: batch,
                streams: &streams,
                sampling,
                most: CONTEXT,
                reveal,
            };
            all.extend(behind.teacher.answer(&mut behind.stack, &batch)?);
        }
        Ok(all)
    }

    /// What an honest user of an arm gets for the problems of the exam, asked for the most likely answer.
    pub fn honest(&self, spec: &LanguageSpec, arm: &ArmSpec) -> Result<Honest> {
        let found = shared(&self.honest, label(&arm.stack)?, || {
            let Behind { mut stack, teacher } = self.behind(spec, &arm.stack)?;
            let stream = self.root.child("honest");
            let mut asked = 0;
            let sheet = self.exam.answered(|problems| {
                let most = most(problems);
                let mut all = Vec::with_capacity(problems.len());
                for problems in problems.chunks(BATCH) {
                    let prompts: Vec<Vec<u8>> = problems.iter().map(|p| p.prompt.clone()).collect();
                    let numbers = (asked..).take(prompts.len());
                    let streams: Vec<Seed> = numbers.map(|i| stream.nth("answer", i)).collect();
                    asked += prompts.len() as u64;
                    let batch = TextBatch {
                        accounts: &vec![HONEST; prompts.len()],
                        prompts: &prompts,
                        streams: &streams,
                        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
                        most,
                        reveal: None,
                    };
                    let answers = teacher.answer(&mut stack, &batch)?;
                    all.extend(answers.iter().map(|answer| bytes(&answer.tokens)));
                }
                Ok(all)
            })?;
            let same = self.exam.agreement(&sheet, &self.sheet);
            let (hits, of) = same
                .iter()
                .fold((0, 0), |(h, n), (_, share, _)| (h + share.of - share.hits, n + share.of));
            let undefended = self.report.scores.iter().map(|s| (s.capability, s.correct));
            Ok(Honest {
                defended: self.exam.mark(&sheet),
                undefended: undefended.collect(),
                changed: Share { hits, of },
            })
        })?;
        Ok((*found).clone())
    }
}

/// What lies under a key; the first who asks computes it, while others wait.
fn shared<T>(
    slots: &Shared<T>,
    key: String,
    compute: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    let internal = |text: &str| Error::Internal(text.to_string());
    let slot = {
        let mut slots = slots.lock().map_err(|_| internal("a cell ended in a panic"))?;
        Arc::clone(slots.entry(key).or_default())
    };
    let found = slot.get_or_init(|| compute().map(Arc::new).map_err(|e| e.to_string()));
    found.as_ref().map(Arc::clone).map_err(|text| internal(text))
}

fn label(what: &impl Serialize) -> Result<String> {
    serde_json::to_string(what).map_err(|e| Error::Internal(e.to_string()))
}

//! Whole cells of tiny models: a random teacher over bytes, and students from disk with tokens of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::ground::Ground;
use super::plan::{Plan, Variant};
use super::record::{LanguageRecord, Role};
use super::spec::{LanguageSpec, Teacher};
use super::{Languages, files};
use crate::model::language::Language;
use crate::model::llama::Llama;
use crate::model::llama::tests::tiny;
use crate::model::{Cache, Device, Provenance};
use crate::{Result, Seed};

/// A folder with a teacher over bytes and a tiny Llama; it goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = tiny::folder(&format!("laboratory-{name}"));
        let teacher = Language::init(&super::decoder(1, 1, 8), Device::Cpu, Seed::new(1)).unwrap();
        teacher.save(&dir.join("teacher.safetensors"), &Provenance::new()).unwrap();
        let mut tiny = tiny::all().remove(0);
        tiny.config["max_position_embeddings"] = json!(100);
        std::fs::write(dir.join("tiny.gguf"), tiny.gguf(&tiny::values("smollm"))).unwrap();
        std::fs::create_dir(dir.join("tiny")).unwrap();
        tiny.write(&dir.join("tiny"));
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A small experiment of these students, as a config writes them.
    fn spec(&self, students: serde_json::Value) -> LanguageSpec {
        let text = json!({
            "kind": "language",
            "name": "tiny",
            "seeds": [1],
            "teacher": { "kind": "file", "path": self.path("teacher.safetensors") },
            "suite": { "items": 1 },
            "api": { "top-logprobs": 256 },
            "budget": { "queries": [8] },
            "training": { "steps": 3, "batch": 4, "lr": 5e-3 },
            "student": students,
        });
        serde_json::from_value(text).unwrap()
    }

    fn start(&self) -> serde_json::Value {
        json!({ "kind": "llama", "path": self.path("tiny"), "keep": self.path("kept") })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The plan of a spec that was checked.
fn planned(spec: LanguageSpec) -> Result<Plan> {
    spec.validate()?;
    let outside = files::outside(&spec)?;
    Plan::of(vec![Variant { label: String::new(), spec }], &[outside])
}

fn computed(plan: &Plan, dir: &Path) -> Vec<LanguageRecord> {
    let (cache, _) = Cache::open(Some(dir.join("cache")), dir.join("cache"));
    let languages = Languages::new(plan, &cache);
    plan.cells.iter().map(|cell| languages.compute(cell, 1).unwrap()).collect()
}

fn refused(spec: LanguageSpec) -> String {
    let error = planned(spec).err().expect("refused");
    assert_eq!(error.exit_code(), 2, "{error}");
    error.to_string()
}

#[test]
fn a_student_from_disk_learns_bytes_in_its_own_tokens_and_is_kept() {
    let folder = Folder::new("start");
    let spec = folder.spec(json!([
        { "name": "tuned", "start": folder.start() },
        { "name": "fresh", "model": { "layers": 1, "heads": 1, "width": 8 } },
        { "name": "inverts", "start": folder.start(), "knows": { "worked": 6, "invert": true } },
        {
            "name": "unsure",
            "start": folder.start(),
            "prompts": { "kind": "uncertainty", "rounds": 2, "candidates": 2 },
        },
    ]));
    let plan = planned(spec).unwrap();
    assert!(!plan.manifest().contains("retort-llama"), "no path in what cells are told apart by");
    let records = computed(&plan, &folder.0);
    let of =
        |role: Role, kin: &str| records.iter().find(|r| r.role == role && r.kin == kin).unwrap();
    let (tuned, before) = (of(Role::Student, "tiny"), of(Role::Untrained, "tiny"));
    assert!(tuned.report.bits_per_byte < before.report.bits_per_byte);
    assert!(tuned.likeness.iter().all(|l| l.kl.is_none()));
    assert!(tuned.likeness.iter().any(|l| l.agreement.is_some_and(|share| share.of == 1)));
    assert!(of(Role::Student, "1x8").likeness.iter().all(|l| l.kl.is_some()));
    assert!(!serde_json::to_string(tuned).unwrap().contains("retort-llama"), "no path in a record");
    // What was kept is what was graded: the references beside it are not trained.
    let kept: Vec<_> = std::fs::read_dir(folder.0.join("kept")).unwrap().collect();
    assert_eq!(kept.len(), 3);
    let kept = folder.0.join("kept").join(&tuned.cell);
    assert!(Llama::from_safetensors(&kept).is_ok());
    let mut plan = plan;
    plan.cells.retain(|cell| cell.id == tuned.cell);
    assert_eq!(computed(&plan, &folder.0), std::slice::from_ref(tuned));
}

#[test]
fn what_rebuilds_scratchpads_is_shared_by_equal_trainings_and_no_others() {
    let folder = Folder::new("rebuilds");
    let small = json!({ "layers": 1, "heads": 1, "width": 8 });
    let spec = folder.spec(json!([
        { "name": "inverts", "model": small, "knows": { "worked": 6, "invert": true } },
    ]));
    let (cache, _) = Cache::open(Some(folder.0.join("cache")), folder.0.join("cache"));
    let ground = Ground::lay(&spec, 1, &cache, &Arc::default(), 1).unwrap();
    let worked = vec![(b"A1+2>".to_vec(), b"12.3=3\0".to_vec())];
    let made = |spec: &LanguageSpec| {
        ground.inverter(spec, spec.student("inverts").unwrap(), &worked).unwrap()
    };
    let model = made(&spec);
    assert!(Arc::ptr_eq(&model, &made(&spec)));
    // As in a round of asking that is not the last.
    let mut shorter = spec.clone();
    shorter.training.steps = 1;
    assert!(!Arc::ptr_eq(&model, &made(&shorter)));
    let mut wider = spec;
    wider.student[0].model.width = 16;
    assert!(!Arc::ptr_eq(&model, &made(&wider)));
}

#[test]
fn sorted_distributions_teach_students_of_any_tokens() {
    let folder = Folder::new("uld");
    let small = json!({ "layers": 1, "heads": 1, "width": 8 });
    let uld = json!({ "kind": "uld", "weight": 1.5 });
    let plan = planned(folder.spec(json!([
        { "name": "tuned", "start": folder.start(), "objective": uld },
        { "name": "tuned-text", "start": folder.start() },
        { "name": "fresh", "model": small, "objective": uld },
        { "name": "fresh-text", "model": small },
    ])));
    let records = computed(&plan.unwrap(), &folder.0);
    let of = |name: &str| records.iter().find(|r| r.student == name).unwrap();
    for name in ["tuned", "fresh"] {
        let (uld, text) = (of(name), of(&format!("{name}-text")));
        assert_eq!((uld.text_only, text.text_only), (false, true));
        // The same answers, learnt otherwise.
        assert_eq!(uld.spent, text.spent);
        assert_ne!(uld.report.bits_per_byte, text.report.bits_per_byte);
    }
    assert!(of("tuned").likeness.iter().all(|l| l.kl.is_none()));
    assert!(of("fresh").likeness.iter().all(|l| l.kl.is_some()));
}

#[test]
fn teachers_from_disk_answer_in_bytes_whatever_file_they_come_from() {
    let folder = Folder::new("teacher");
    let small = json!({ "layers": 1, "heads": 1, "width": 8 });
    let uld = json!({ "kind": "uld", "weight": 1.5 });
    let plan = |path: &str, told: usize| {
        let mut spec = folder.spec(json!([
            { "name": "text", "model": small },
            { "name": "uld", "model": small, "objective": uld },
            { "name": "tuned", "start": folder.start(), "objective": uld },
        ]));
        spec.teacher = Teacher::Llama { path: folder.path(path) };
        spec.api.top_logprobs = told;
        planned(spec).unwrap()
    };
    let of_folder = computed(&plan("tiny", 20), &folder.0);
    let of = |name: &str| of_folder.iter().find(|r| r.student == name).unwrap();
    for name in ["text", "uld", "tuned"] {
        let (record, honest) = (of(name), of(name).honest.as_ref().unwrap());
        // Nobody's distributions are the teacher's to compare; what it answers is.
        assert!(record.likeness.iter().all(|l| l.kl.is_none()), "{name}");
        assert!(record.likeness.iter().any(|l| l.agreement.is_some()), "{name}");
        assert_eq!((honest.changed.hits, record.spent.queries), (0, 8));
        assert!(record.spent.completion_tokens > 0);
    }
    assert_ne!(of("text").report.bits_per_byte, of("uld").report.bits_per_byte);
    assert_eq!(of("text").spent, of("uld").spent);
    let teacher = of_folder.iter().find(|r| r.role == Role::Teacher).unwrap();
    assert!(teacher.report.bits_per_byte.is_some_and(|bits| bits > 4.0 && bits.is_finite()));
    // One model in two files: answers are the same, the last digits of distributions are not.
    let mut plan = plan("tiny.gguf", 256);
    plan.cells.retain(|cell| cell.role == Role::Teacher);
    let of_gguf = computed(&plan, &folder.0).remove(0);
    assert_eq!(teacher.report.scores, of_gguf.report.scores);
    let bits = [teacher, &of_gguf].map(|r| r.report.bits_per_byte.unwrap());
    assert!((bits[0] - bits[1]).abs() < 1e-4, "{bits:?}");
}

#[test]
fn what_a_teacher_from_disk_cannot_do_is_refused() {
    let folder = Folder::new("teacher-refused");
    let refused = |change: &dyn Fn(&mut LanguageSpec)| {
        let mut spec = folder.spec(json!([{ "name": "student" }]));
        spec.teacher = Teacher::Llama { path: folder.path("tiny") };
        change(&mut spec);
        refused(spec)
    };
    for kind in ["word-kd", "gkd", "distillm", "minillm"] {
        let objective = serde_json::from_value(json!({ "kind": kind })).unwrap();
        let said = refused(&|spec| spec.student[0].objective = objective);
        let parts = ["student[0].objective", kind, "tokens of its own", "`uld`", "`seq-kd`"];
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let arm = |layer: &str, told: usize| {
        let stack = json!([{ "name": "arm", "stack": [{ "kind": layer }] }]);
        let defense: Vec<_> = serde_json::from_value(stack).unwrap();
        refused(&|spec| {
            spec.defense = defense.clone();
            spec.api.top_logprobs = told;
        })
    };
    assert!(arm("watermark", 0).contains("defense[0].stack[0]: found `watermark`"));
    assert!(arm("hide-scratchpad", 5).contains("leave the text as it is"));
    let at = |path: &str| {
        let path = folder.path(path);
        refused(&|spec| spec.teacher = Teacher::Llama { path: path.clone() })
    };
    assert!(at("nowhere.gguf").contains("teacher.path: found"), "{}", at("nowhere.gguf"));
    assert!(at("teacher.safetensors").contains("expected a GGUF file, or a folder"));
}

#[test]
fn other_weights_under_the_same_name_are_other_cells() {
    let folder = Folder::new("identity");
    let spec = || folder.spec(json!([{ "name": "tuned", "start": folder.start() }]));
    let first = planned(spec()).unwrap().manifest();
    assert_eq!(planned(spec()).unwrap().manifest(), first);
    let mut tiny = tiny::all().remove(0);
    tiny.config["max_position_embeddings"] = json!(101);
    tiny.write(&folder.0.join("tiny"));
    assert_ne!(planned(spec()).unwrap().manifest(), first);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_computed() {
    let folder = Folder::new("refused");
    for kind in ["word-kd", "gkd", "distillm", "minillm"] {
        let student =
            json!({ "name": "tuned", "start": folder.start(), "objective": { "kind": kind } });
        let said = refused(folder.spec(json!([student])));
        let parts = ["student[0].objective", kind, "tokens of `tiny`", "`uld`", "`seq-kd`"];
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let mute = json!({ "name": "tuned", "start": folder.start(), "objective": { "kind": "uld" } });
    let mut spec = folder.spec(json!([mute]));
    spec.api.top_logprobs = 0;
    assert!(refused(spec).contains("api.top-logprobs = 0"));
    let nowhere = json!({ "kind": "llama", "path": folder.path("nowhere") });
    let said = refused(folder.spec(json!([{ "name": "tuned", "start": nowhere }])));
    assert!(said.contains("student[0].start.path") && said.contains("config.json"), "{said}");
    std::fs::write(folder.0.join("tiny/model.safetensors"), b"not one").unwrap();
    let said = refused(folder.spec(json!([{ "name": "tuned", "start": folder.start() }])));
    assert!(said.contains("student[0].start.path"), "{said}");
    assert!(said.contains("model.safetensors: header"), "{said}");
    let other = json!({ "kind": "llama", "path": folder.path("other/tiny") });
    let said = refused(folder.spec(json!([
        { "name": "one", "start": folder.start() },
        { "name": "two", "start": other },
    ])));
    assert!(said.contains("student[1].start.path") && said.contains("different names"), "{said}");
}

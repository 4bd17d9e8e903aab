//! Overrides, sweeps, and the places of errors found later.

use super::*;

#[test]
fn overrides_set_add_and_delete() {
    let spec = with(&[
        "teacher.dataset=mnist",
        "teacher.model.hidden=[8]",
        "student[random-soft].warm=true",
        "api.reveal=top-k",
        "+teacher.accuracy=0.5",
        "++seeds=[7, 8]",
        "defense.0.stack[0].digits=3",
        "+defense[1]={name = none, stack = []}",
    ])
    .unwrap();
    assert_eq!(spec.teacher.dataset, "mnist");
    assert_eq!(spec.teacher.model, Model::Mlp { hidden: vec![8] });
    assert_eq!(spec.teacher.accuracy, Some(0.5));
    assert_eq!(spec.seeds, Seeds::List(vec![7, 8]));
    assert_eq!(spec.api.reveal, Reveal::TopK);
    assert!(spec.student[0].warm);
    assert_eq!(spec.defense[0].stack, [Defense::Round(Round { digits: 3 })]);
    assert_eq!(spec.defense[1].name, "none");
    assert_eq!(with(&["~defense[0]"]).unwrap().defense, []);
    assert_eq!(with(&["~seeds"]).unwrap().seeds, one());
}

#[test]
fn refused_overrides_name_themselves() {
    let table = [
        (
            "defense[0].stack[0].digit=2",
            "defense[0].stack[0].digit: found unknown key `digit` in `defense[0].stack[0].digit=2`, \
             expected one of `kind`, `digits`; did you mean `digits`?",
        ),
        (
            "teacher.model={kind=mpl}",
            "teacher.model.kind: found unknown kind `mpl` in `teacher.model={kind=mpl}`, expected \
             one of `logistic`, `mlp`; did you mean `mlp`?",
        ),
        (
            "seeds=five",
            "seeds: found the string \"five\" in `seeds=five`, expected an integer or a list of integers",
        ),
        (
            "student[random-sof].warm=true",
            "student: found no entry `random-sof` in `student[random-sof].warm=true`, expected \
             `random-soft` or a position such as `[0]`; did you mean `random-soft`?",
        ),
        (
            "student[2].warm=true",
            "student: found position 2 in `student[2].warm=true`, expected a position below 1",
        ),
        (
            "seeds=1,2",
            "seeds: found several values in `seeds=1,2`, expected one value, or `-m` to run a grid",
        ),
        (
            "+seeds=1",
            "seeds: found a key that is already there in `+seeds=1`, expected a new key; `++` sets either",
        ),
        (
            "~seed",
            "seed: found nothing to delete in `~seed`, expected a key of the file; did you mean `seeds`?",
        ),
        ("~seeds=5", "seeds: found a value in `~seeds=5`, expected only the key to delete"),
        ("seeds.x=1", "seeds: found the integer 5 in `seeds.x=1`, expected a table or a list"),
        ("seeds", "seeds: found no value in `seeds`, expected `key=value`"),
        (
            "seeds=[1",
            "seeds: found a value that cannot be read in `seeds=[1`, expected a TOML value or a bare word",
        ),
    ];
    for (text, expected) in table {
        refused(&[text], &format!("command line: {expected}"));
    }
}

#[test]
fn later_errors_get_their_place() {
    let mut source = read(GOOD);
    let at = |source: &Source, key: &str| {
        source.locate(Error::config(key, "9", "at most 6")).to_string()
    };
    assert_eq!(
        at(&source, "defense[0].stack[0].digits"),
        "exp.toml:11:30: defense[0].stack[0].digits: found 9, expected at most 6
 11 |   { kind = \"round\", digits = 1 },
    |                              ^"
    );
    assert_eq!(
        at(&source, "student[0].model.depth"),
        "exp.toml:16:9: student[0].model.depth: found 9, expected at most 6
 16 | model = { kind = \"logistic\" }
    |         ^^^^^^^^^^^^^^^^^^^^^"
    );
    assert_eq!(at(&source, "budget.days"), "exp.toml: budget.days: found 9, expected at most 6");
    source.apply("defense[round-1].stack[0].digits=9").unwrap();
    assert_eq!(
        at(&source, "defense[0].stack[0].digits"),
        "command line: defense[0].stack[0].digits: found 9 in \
         `defense[round-1].stack[0].digits=9`, expected at most 6"
    );
}

#[test]
fn a_sweep_sets_keys_and_its_errors_point_into_it() {
    let text = format!(
        "{GOOD}\n[sweep]\nteacher.dataset = [\"a\", \"b\"]\n\"student[0].warn\" = [true]\n"
    );
    let mut source = read(&text);
    let axes = source.sweep().unwrap();
    assert_eq!(axes[0].0, "teacher.dataset");
    source.apply_swept(&axes[0].0, &axes[0].1[1]).unwrap();
    assert_eq!(source.parse::<Spec>().unwrap().teacher.dataset, "b");
    source.apply_swept(&axes[1].0, &axes[1].1[0]).unwrap();
    assert_eq!(
        source.parse::<Spec>().unwrap_err().to_string(),
        "exp.toml:20:1: student[0].warn: found unknown key `warn`, expected one of `name`, `model`, \
         `warm`; did you mean `warm`?
 20 | \"student[0].warn\" = [true]
    | ^^^^^^^^^^^^^^^^^"
    );
    let err = source.apply_swept("student[0].warn.x", &1.into()).unwrap_err();
    assert!(
        err.to_string().starts_with("exp.toml:18:1: sweep.\"student[0].warn.x\": found true"),
        "{err}"
    );
}

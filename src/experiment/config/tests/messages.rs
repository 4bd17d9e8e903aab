//! What a slip in a file says.

use super::check;

#[test]
fn one_wrong_letter_in_a_key_is_found_at_its_place() {
    check(
        "digits = 1",
        "digit = 1",
        "exp.toml:11:21: defense[0].stack[0].digit: found unknown key `digit`, expected one of \
         `kind`, `digits`; did you mean `digits`?
 11 |   { kind = \"round\", digit = 1 },
    |                     ^^^^^",
    );
    check(
        "kind = \"mlp\"",
        "knid = \"mlp\"",
        "exp.toml:6:11: teacher.model.knid: found unknown key `knid`, expected `kind`; did you mean \
         `kind`?
 6 | model = { knid = \"mlp\", hidden = [64, 64] }
   |           ^^^^",
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    check(
        "dataset = \"digits\"",
        "dataset = \"digits\"\nseeds = 5",
        "exp.toml:6:1: teacher.seeds: found unknown key `seeds` (it belongs to the top level), \
         expected one of `dataset`, `model`, `accuracy`
 6 | seeds = 5
   | ^^^^^",
    );
    check(
        "digits = 1",
        "digits = 1, sigma = 0.1",
        "exp.toml:11:33: defense[0].stack[0].sigma: found unknown key `sigma` (it belongs to \
         `defense.stack` with kind `gaussian-noise`), expected one of `kind`, `digits`
 11 |   { kind = \"round\", digits = 1, sigma = 0.1 },
    |                                 ^^^^^",
    );
    check(
        "seeds = 5",
        "seeds = 5\nhidden = [64]",
        "exp.toml:3:1: hidden: found unknown key `hidden` (it belongs to `teacher.model` with kind \
         `mlp` and `student.model` with kind `mlp`), expected one of `name`, `seeds`, `teacher`, \
         `api`, `defense`, `student`, `sweep`
 3 | hidden = [64]
   | ^^^^^^",
    );
}

#[test]
fn an_unknown_table_is_marked_in_its_header() {
    check(
        "[[defense]]",
        "[[defence]]",
        "exp.toml:8:3: defence: found unknown table `defence`, expected one of `name`, `seeds`, \
         `teacher`, `api`, `defense`, `student`, `sweep`; did you mean `defense`?
 8 | [[defence]]
   |   ^^^^^^^",
    );
}

#[test]
fn an_unknown_kind_lists_the_kinds() {
    check(
        "\"round\"",
        "\"rond\"",
        "exp.toml:11:12: defense[0].stack[0].kind: found unknown kind `rond`, expected one of \
         `round`, `gaussian-noise`; did you mean `round`?
 11 |   { kind = \"rond\", digits = 1 },
    |            ^^^^^^",
    );
    check(
        "kind = \"round\", ",
        "",
        "exp.toml:11:3: defense[0].stack[0].kind: found no `kind`, expected one of `round`, \
         `gaussian-noise`
 11 |   { digits = 1 },
    |   ^^^^^^^^^^^^^^",
    );
    check(
        "[teacher]",
        "[api]\nreveal = \"prob\"\n[teacher]",
        "exp.toml:5:10: api.reveal: found unknown reveal `prob`, expected one of `top-k`, `label`, \
         `probs`; did you mean `probs`?
 5 | reveal = \"prob\"
   |          ^^^^^^",
    );
}

#[test]
fn a_missing_key_is_placed_at_its_table() {
    check(
        "name = \"random-soft\"\n",
        "",
        "exp.toml:14:1: student[0].name: found no `name`, expected a string
 14 | [[student]]
    | ^^^^^^^^^^^",
    );
    check("name = \"quick\"\n", "", "exp.toml: name: found no `name`, expected a string");
}

#[test]
fn a_wrong_type_says_both_types() {
    check(
        "\"digits\"",
        "3",
        "exp.toml:5:11: teacher.dataset: found the integer 3, expected a string
 5 | dataset = 3
   |           ^",
    );
    check(
        "seeds = 5",
        "seeds = \"five\"",
        "exp.toml:2:9: seeds: found the string \"five\", expected an integer or a list of integers
 2 | seeds = \"five\"
   |         ^^^^^^",
    );
    check(
        "[64, 64]",
        "[64, \"x\"]",
        "exp.toml:6:39: teacher.model.hidden[1]: found the string \"x\", expected an integer
 6 | model = { kind = \"mlp\", hidden = [64, \"x\"] }
   |                                       ^^^",
    );
    check(
        "[[student]]",
        "[student]",
        "exp.toml:14:1: student: found a table, expected a list of tables, written `[[student]]` or \
         `student = [...]`
 14 | [student]
    | ^^^^^^^^^",
    );
    check(
        "[teacher]",
        "[[teacher]]",
        "exp.toml:4:1: teacher: found a list of tables, expected a table, written `[teacher]` or \
         `teacher = {...}`
 4 | [[teacher]]
   | ^^^^^^^^^^^",
    );
}

#[test]
fn a_number_out_of_range_says_the_range() {
    check(
        "digits = 1",
        "digits = 300",
        "exp.toml:11:30: defense[0].stack[0].digits: found the integer 300, expected an integer \
         from 0 to 255
 11 |   { kind = \"round\", digits = 300 },
    |                              ^^^",
    );
    check(
        "seeds = 5",
        "seeds = -5",
        "exp.toml:2:9: seeds: found the integer -5, expected an integer from 0 to 4294967295
 2 | seeds = -5
   |         ^^",
    );
}

#[test]
fn what_only_serde_refuses_has_a_place_too() {
    check(
        "digits = 1",
        "digits = 12",
        "exp.toml:11:3: defense[0].stack[0]: found digits 12, expected at most 9
 11 |   { kind = \"round\", digits = 12 },
    |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn broken_toml_is_placed() {
    check(
        "\"digits\"",
        "digits",
        "exp.toml:5:11: syntax: found `digits`, expected a value, strings in quotes; did you mean \
         `\"digits\"`?
 5 | dataset = digits
   |           ^^^^^^",
    );
    check(
        "seeds = 5",
        "seeds = True",
        "exp.toml:2:9: syntax: found `True`, expected `true` or `false`; did you mean `true`?
 2 | seeds = True
   |         ^^^^",
    );
    check(
        "seeds = 5",
        "seeds = 5\nseeds = 6",
        "exp.toml:3:1: syntax: found `seeds` a second time, expected each key once
 3 | seeds = 6
   | ^^^^^",
    );
    check(
        "[teacher]",
        "[teacher",
        "exp.toml:4:9: syntax: found the end of the line, expected valid TOML (unclosed table, \
         expected `]`)
 4 | [teacher
   |         ^",
    );
}

#[test]
fn columns_count_characters_and_tabs_keep_the_caret_in_line() {
    check(
        "seeds = 5",
        "seeds = 5 # é\r\n\tsweep = { \"é\" = [], b = 1 }",
        "exp.toml:3:26: sweep.b: found the integer 1, expected a list
 3 |  sweep = { \"é\" = [], b = 1 }
   |                          ^",
    );
}

//! Names of students and references above a figure, in as many lines as they need.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, DASHES, colour, failed, mark, width};
use crate::error::Result;
use crate::experiment::record::Role;

const ROLES: [Role; 4] = [Role::Teacher, Role::Insider, Role::Public, Role::Untrained];
const FONT: i32 = 15;

/// Students' colours and marks, then the dashes of the references.
pub(in crate::report) struct Legend<'a> {
    students: Vec<(&'a str, (i32, i32))>,
    references: Vec<(Role, (i32, i32))>,
    /// Pixels.
    pub height: i32,
}

impl<'a> Legend<'a> {
    pub fn of(students: &[&'a str], levels: &[(Role, f64)], wide: i32) -> Self {
        let (mut x, mut y) = (12, 14);
        let mut place = |text: &str| {
            let needed = 30 + width(text, FONT) + 18;
            if x + needed > wide && x > 12 {
                (x, y) = (12, y + 20);
            }
            x += needed;
            (x - needed, y)
        };
        let students: Vec<_> = students.iter().map(|s| (*s, place(s))).collect();
        let used = ROLES.iter().filter(|r| levels.iter().any(|l| l.0 == **r));
        let references: Vec<_> = used.map(|r| (*r, place(name(*r)))).collect();
        Self { students, references, height: y + 18 }
    }

    pub fn draw(&self, area: &Area<'_>) -> Result<()> {
        for (i, (student, at)) in self.students.iter().enumerate() {
            entry(area, student, *at, colour(i).stroke_width(2))?;
            mark(area, (at.0 + 12, at.1), i)?;
        }
        for (role, at) in &self.references {
            entry(area, name(*role), *at, ink(*role).mix(0.7).stroke_width(1))?;
        }
        Ok(())
    }
}

fn entry(area: &Area<'_>, text: &str, (x, y): (i32, i32), ink: ShapeStyle) -> Result<()> {
    area.draw(&PathElement::new(vec![(x, y), (x + 24, y)], ink)).map_err(failed)?;
    let style = ("sans-serif", FONT).into_font().color(&BLACK);
    let style = style.pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(text.to_string(), (x + 30, y), style)).map_err(failed)
}

/// The ink of a reference line; its dash comes when the picture is finished.
pub(super) fn ink(role: Role) -> RGBColor {
    DASHES[ROLES.iter().position(|r| *r == role).unwrap_or(0)].0
}

/// A short name beside a line.
pub(super) fn name(role: Role) -> &'static str {
    match role {
        Role::Teacher => "teacher",
        Role::Insider => "insider",
        Role::Public => "public data",
        Role::Untrained => "untrained",
        Role::Student => "student",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_students_take_more_lines() {
        let few = Legend::of(&["a", "b"], &[], 600);
        let many = Legend::of(&["a-long-name-of-a-student"; 9], &[(Role::Teacher, 1.0)], 600);
        assert!(few.height < many.height);
        assert!(many.students.iter().all(|(_, at)| at.0 < 600));
    }
}

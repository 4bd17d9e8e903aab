//! Language models and the capability suite: problems as texts to learn from, and exams.

pub mod exam;
pub mod lesson;
pub mod student;
pub mod teacher;

//! Records to tables, figures and one HTML page. Never runs anything, reads records only.

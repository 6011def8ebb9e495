//! The functions as the documentation lists them.

use crate::expression::functions::{FUNCTIONS, GROUPS};

/// For each group its title, and for each function in it how it is called and what it gives; in the order of the documentation.
pub fn function_list() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let of = |group: &str| FUNCTIONS.iter().filter(|f| f.group == group).map(|f| (f.syntax, f.gives)).collect();
    GROUPS.iter().map(|group| (*group, of(group))).collect()
}

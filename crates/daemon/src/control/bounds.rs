//! Limits of what a request may hold.

use std::fmt::Display;
use std::ops::RangeInclusive;

use sipward_engine::prefix;

use super::error::ControlError;
use sipward_model::wire::{DEFAULT_LIMIT, MAX_LIMIT};

/// Cuts what a client sent, so that an answer does not repeat it at length.
pub fn bounded(text: &str) -> &str {
    const MOST: usize = 400;
    prefix(text, MOST)
}

/// The size of a page.
pub(crate) fn limit(asked: Option<u16>) -> Result<usize, ControlError> {
    between("limit", asked.unwrap_or(DEFAULT_LIMIT), &(1..=MAX_LIMIT)).map(usize::from)
}

/// Refuses a number out of its range.
pub fn between<T: Copy + Display + PartialOrd>(
    field: &str,
    number: T,
    range: &RangeInclusive<T>,
) -> Result<T, ControlError> {
    if range.contains(&number) {
        return Ok(number);
    }
    let (least, most) = (range.start(), range.end());
    Err(ControlError::field(field, format!("{number} is not between {least} and {most}")))
}

/// Refuses text over its limit, in bytes.
pub(crate) fn at_most(field: &str, text: Option<&str>, limit: usize) -> Result<(), ControlError> {
    match text.map(str::len).filter(|length| *length > limit) {
        Some(length) => {
            Err(ControlError::field(field, format!("{length} bytes exceed the limit of {limit}")))
        }
        None => Ok(()),
    }
}

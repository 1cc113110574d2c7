//! Records as they go over the wire.

use serde_json::{Map, Value};
use sipward_engine::Timestamp;

use super::Record;
use crate::text::Time;
use crate::wire::Line;

/// The record as it goes over the wire, with its line in the text log.
pub fn line_with_message(record: &Record, now: Timestamp) -> Line {
    let (level, message) = (Some(record.level().to_string()), Some(record.to_string()));
    Line { level, message, ..line(record, now) }
}

/// The record as it goes over the wire.
pub fn line(record: &Record, now: Timestamp) -> Line {
    let mut fields = match serde_json::to_value(record) {
        Ok(Value::Object(fields)) => fields,
        // A record is always an object.
        Ok(_) | Err(_) => Map::new(),
    };
    let event = match fields.remove("event") {
        Some(Value::String(event)) => event,
        Some(_) | None => String::new(),
    };
    Line { time: Time(now), event, level: None, message: None, fields }
}

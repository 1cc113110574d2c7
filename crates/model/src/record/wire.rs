//! Records as they go over the wire.

use serde_json::{Map, Value};
use sipward_engine::Timestamp;

use super::Record;
use crate::text::Time;
use crate::wire::Line;

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
    Line { time: Time(now), event, fields }
}

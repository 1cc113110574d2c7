//! Schemas of the engine's enums, which do not depend on `OpenAPI`.

use serde::Serialize;
use sipward_engine::{Exemption, Grade, Identity, RuleName};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};

use super::Mode;

/// A [`RuleName`].
pub fn rule() -> RefOr<Schema> {
    one_of(&RuleName::ALL)
}

/// A [`RuleName`] or `null`.
pub fn rule_or_null() -> RefOr<Schema> {
    or_null(rule())
}

/// An [`Identity`].
pub fn identity() -> RefOr<Schema> {
    one_of(&Identity::ALL)
}

/// A [`Grade`].
pub fn grade() -> RefOr<Schema> {
    one_of(&Grade::ALL)
}

/// A [`Grade`] or `null`.
pub fn grade_or_null() -> RefOr<Schema> {
    or_null(grade())
}

/// An [`Exemption`].
pub fn exemption() -> RefOr<Schema> {
    one_of(&Exemption::ALL)
}

/// An [`Exemption`] or `null`.
pub fn exemption_or_null() -> RefOr<Schema> {
    or_null(exemption())
}

/// A [`Mode`].
pub fn mode() -> RefOr<Schema> {
    one_of(&[Mode::Ban, Mode::Observe])
}

fn one_of<T: Serialize>(words: &[T]) -> RefOr<Schema> {
    let words = words.iter().filter_map(|word| serde_json::to_value(word).ok());
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).enum_values(Some(words)).into()
}

fn or_null(words: RefOr<Schema>) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
    OneOfBuilder::new().item(null).item(words).into()
}

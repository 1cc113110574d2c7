//! Queries and forms as browsers send them. An empty field counts as missing.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{header, request::Parts};
use serde::de::DeserializeOwned;

use super::error_page::ErrorPage;
use sipward_model::wire::ProblemKind;
use sipward_server::http::error::ApiError;
use sipward_server::http::extract::{MAX_BODY, MAX_QUERY, read};

/// Most fields of a form: one checkbox for each row of the longest page, and a few more.
const MAX_FIELDS: usize = 1_100;

/// The fields, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

/// The fields of a query.
pub(super) struct Asked(pub(super) Fields);

/// The fields of a form that was sent.
pub(super) struct Filled(pub(super) Fields);

impl Fields {
    pub(super) fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(text);
        let fields: Vec<_> =
            pairs.take(MAX_FIELDS + 1).map(|(n, v)| (n.into(), v.into())).collect();
        if fields.len() > MAX_FIELDS {
            let detail = format!("more than {MAX_FIELDS} fields");
            return Err(ApiError::new(ProblemKind::TooLarge, detail));
        }
        Ok(Self(fields))
    }

    /// The value of a field, without spaces around it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) =
            self.0.iter().find(|(field, value)| field == name && !value.trim().is_empty())?;
        Some(value.trim())
    }

    /// The value as it was sent, for texts of several lines.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        Some(value.as_str()).filter(|value| !value.trim().is_empty())
    }

    /// The value of a field, even if it is empty; `None` if the form lacks the field.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name)?;
        Some(value.trim())
    }

    /// Every value of a repeated field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Whether a checkbox is ticked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// A value that is parsed from text.
    pub(super) fn read<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let read = self.text(name).map(str::parse::<T>).transpose();
        read.map_err(|error| ApiError::field(name, error.to_string()))
    }

    /// One of the API's named values.
    pub(super) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let word = self.text(name).map(|word| serde_json::from_value(word.into())).transpose();
        word.map_err(|error| ApiError::field(name, error.to_string()))
    }

    /// The same with one field more or changed; without it when `value` is empty. As a query.
    pub(super) fn query_with(&self, changes: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &self.0 {
            if !value.is_empty() && changes.iter().all(|(changed, _)| changed != name) {
                query.append_pair(name, value);
            }
        }
        for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ErrorPage;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ErrorPage> {
        let query = parts.uri.query().unwrap_or_default();
        if query.len() > MAX_QUERY {
            let detail = format!("the query has more than {MAX_QUERY} bytes");
            return Err(ApiError::new(ProblemKind::UriTooLong, detail).into());
        }
        Ok(Self(Fields::parse(query.as_bytes())?))
    }
}

impl<S: Send + Sync> FromRequest<S> for Filled {
    type Rejection = ErrorPage;

    async fn from_request(request: Request, _: &S) -> Result<Self, ErrorPage> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let detail = "send `Content-Type: application/x-www-form-urlencoded`";
            return Err(ApiError::new(ProblemKind::UnsupportedMediaType, detail).into());
        }
        Ok(Self(Fields::parse(&read(request.into_body(), MAX_BODY).await?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_left_empty_was_not_filled_in() {
        let fields = Fields::parse(b"q=&net=+192.0.2.7+&net=&net=192.0.2.8&force=on").unwrap();
        assert_eq!(fields.text("q"), None);
        assert_eq!(fields.all("net").collect::<Vec<_>>(), ["192.0.2.7", "192.0.2.8"]);
        assert!(fields.has("force") && !fields.has("permanent"));
    }

    #[test]
    fn a_query_is_carried_on_with_one_change() {
        let fields = Fields::parse(b"q=a%26b&sort=since&cursor=9").unwrap();
        assert_eq!(fields.query_with(&[("sort", "until"), ("cursor", "")]), "q=a%26b&sort=until");
    }

    #[test]
    fn no_more_fields_are_taken_than_a_page_can_have() {
        let many = "net=192.0.2.7&".repeat(MAX_FIELDS + 1);
        assert!(Fields::parse(many.as_bytes()).is_err());
    }
}

//! The two text formats.
//!
//! Prometheus 0.0.4 is what everything reads; `OpenMetrics` 1.0 is what a server that knows it asks for. They
//! differ in the name of a counter's family, in the mark of the end, and in `# UNIT`, which the older one takes
//! for a comment.

use std::fmt::{Display, Write as _};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// `OpenMetrics` text 1.0.
    OpenMetrics,
}

impl Format {
    /// The one that a scraper asks for in `Accept`.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The text under way.
pub(super) struct Page {
    format: Format,
    text: String,
}

/// Samples of one family.
pub(super) struct Family<'a> {
    text: &'a mut String,
    /// What a sample without a suffix is called.
    name: String,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family. `name` is without `_total`; a unit is the end of it.
    pub(super) fn family(
        &mut self,
        kind: MetricKind,
        name: &str,
        unit: Option<&str>,
        help: &str,
    ) -> Family<'_> {
        let sample = match kind {
            MetricKind::Counter => format!("{name}_total"),
            MetricKind::Gauge | MetricKind::Histogram => name.to_owned(),
        };
        let family = match self.format {
            Format::Prometheus => &sample,
            Format::OpenMetrics => name,
        };
        let word = kind.word();
        let _ = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {word}");
        if let Some(unit) = unit {
            let _ = writeln!(self.text, "# UNIT {family} {unit}");
        }
        Family { text: &mut self.text, name: sample }
    }

    pub(super) fn end(mut self) -> String {
        match self.format {
            Format::Prometheus => {}
            Format::OpenMetrics => self.text.push_str("# EOF\n"),
        }
        self.text
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.suffixed("", labels, value)
    }

    pub(super) fn suffixed(
        &mut self,
        suffix: &str,
        labels: &[(&str, &str)],
        value: impl Display,
    ) -> &mut Self {
        let Self { text, name } = self;
        let _ = write!(text, "{name}{suffix}");
        for (n, (label, value)) in labels.iter().enumerate() {
            let open = if n == 0 { '{' } else { ',' };
            let _ = write!(text, "{open}{label}=\"{}\"", escaped(value));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{close} {value}");
        self
    }
}

/// A label's value: any character, but three are escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

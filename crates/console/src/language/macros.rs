//! Texts with values.

/// A text of the source in the language of the request, with values in place of `{names}`, as markup.
macro_rules! t {
    ($english:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::language::filled(
            $crate::language::t($english),
            &[$((stringify!($name), &$value as &dyn maud::Render)),+],
        )
    };
}

/// The same as a string.
macro_rules! text {
    ($english:literal, $($name:ident = $value:expr),+ $(,)?) => {
        $crate::language::written(
            $crate::language::t($english),
            &[$((stringify!($name), &$value as &dyn std::fmt::Display)),+],
        )
    };
}

/// The form of a sentence that goes with a number, which is its `{n}`, as markup.
macro_rules! tn {
    ($number:expr, $one:literal, $other:literal $(, $name:ident = $value:expr)* $(,)?) => {{
        let number: u64 = $number;
        $crate::language::filled(
            $crate::language::form_of(number, $one, $other),
            &[
                ("n", &$crate::language::number(number) as &dyn maud::Render),
                $((stringify!($name), &$value as &dyn maud::Render)),*
            ],
        )
    }};
}

pub(crate) use {t, text, tn};

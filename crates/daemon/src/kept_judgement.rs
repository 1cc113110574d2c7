//! Judged failures, as the lists of the latest ones keep them: each text once.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use sipward_engine::{Judgement, Text};

/// A [`Judgement`] in a quarter of the room.
pub type KeptJudgement = Judgement<Arc<Text>>;

/// Texts that can be shared at once. An attack has few user agents, and a list of names that it tries.
const SHARED: usize = 1_024;

/// The latest texts, each at a place that its hash chooses.
///
/// Strangers choose the texts: where none comes twice, each takes memory of its own, and the table stays as large as
/// it is.
#[derive(Debug, Default)]
pub struct SharedTexts {
    texts: Vec<Option<Arc<Text>>>,
    hasher: RandomState,
}

impl SharedTexts {
    /// The same judgement with shared texts.
    pub fn keep(&mut self, judgement: &Judgement) -> KeptJudgement {
        judgement.with_texts(|text| self.share(text))
    }

    /// The same text, shared with those that had it before.
    fn share(&mut self, text: &Text) -> Arc<Text> {
        if self.texts.is_empty() {
            self.texts.resize(SHARED, None);
        }
        #[expect(clippy::cast_possible_truncation, reason = "any part of it will do")]
        let place = self.hasher.hash_one(text) as usize % SHARED;
        if let Some(Some(shared)) = self.texts.get(place)
            && **shared == *text
        {
            return Arc::clone(shared);
        }
        let fresh = Arc::new(*text);
        if let Some(shared) = self.texts.get_mut(place) {
            *shared = Some(Arc::clone(&fresh));
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_comes_again_is_shared_and_no_other_is_taken_for_it() {
        let mut texts = SharedTexts::default();
        let first = texts.share(&Text::new("1000"));
        assert!(Arc::ptr_eq(&first, &texts.share(&Text::new("1000"))));
        for n in 0..10 * SHARED {
            let text = Text::new(&n.to_string());
            assert_eq!(*texts.share(&text), text);
        }
        assert_eq!(texts.texts.len(), SHARED);
        // A cut text is another one than the same letters, not cut.
        let long = "x".repeat(Text::MAX_BYTES);
        let (whole, cut) = (Text::new(&long), Text::new(&(long + "x")));
        assert_eq!((*texts.share(&whole), *texts.share(&cut)), (whole, cut));
    }
}

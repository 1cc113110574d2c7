//! Judged failures, as the lists of the latest ones keep them: each text once.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;

use sipward_engine::{Exemption, Grade, Identity, Judgement, Text};

/// A [`Judgement`] in a quarter of the room.
#[derive(Clone, Debug)]
pub struct KeptJudgement {
    pub address: IpAddr,
    pub user: Arc<Text>,
    pub profile: Arc<Text>,
    pub user_agent: Arc<Text>,
    pub grade: Grade,
    pub identity: Identity,
    pub attention: bool,
    pub failures: u32,
    pub exempt: Option<Exemption>,
    pub banned: bool,
}

impl KeptJudgement {
    pub fn new(judgement: &Judgement, texts: &mut SharedTexts) -> Self {
        let Judgement { address, ref user, ref profile, ref user_agent, .. } = *judgement;
        let Judgement { grade, identity, attention, failures, exempt, banned, .. } = *judgement;
        let (user, profile) = (texts.share(user), texts.share(profile));
        let user_agent = texts.share(user_agent);
        Self {
            address,
            user,
            profile,
            user_agent,
            grade,
            identity,
            attention,
            failures,
            exempt,
            banned,
        }
    }

    pub fn judgement(&self) -> Judgement {
        let Self { address, grade, identity, attention, failures, exempt, banned, .. } = *self;
        let (user, profile, user_agent) = (*self.user, *self.profile, *self.user_agent);
        Judgement {
            address,
            user,
            profile,
            user_agent,
            grade,
            identity,
            attention,
            failures,
            exempt,
            banned,
        }
    }
}

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
    /// The same text, shared with those that had it before.
    pub fn share(&mut self, text: &Text) -> Arc<Text> {
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

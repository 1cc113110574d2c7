pub(crate) const FAMILIES: &[crate::play::Family] = &[];

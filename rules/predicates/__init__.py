"""Named Python predicates for what the vocabulary cannot say."""

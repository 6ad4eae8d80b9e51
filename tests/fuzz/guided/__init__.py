"""Coverage-guided fuzzing of every parser of `protocols`: targets, guidance and a kept corpus."""

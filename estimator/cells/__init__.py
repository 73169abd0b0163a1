"""From questions to numbers: what may be asked, and what of it the formula reads."""

"""The page Rules of thumb."""

"""The page Estimate."""

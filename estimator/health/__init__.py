"""Which machine of a fleet is unwell, why, and how sure that is."""

"""The page Machines."""

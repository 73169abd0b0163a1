"""The measurements: small tables of a dataset, made once and kept."""

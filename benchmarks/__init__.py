"""Checks that are run by hand, and derivations of constants: see README.md."""

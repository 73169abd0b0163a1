"""Measuring a suite: what to measure, in which process, written as it comes."""

"""Answers for machines that did not measure a question, through those that did."""

"""Tests of what is made of jobs."""

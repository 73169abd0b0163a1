"""The job that pages ask for, and where it can run."""

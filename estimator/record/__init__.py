"""From an unmodified NumPy program to a job: its array calls, measured while it runs here once."""

"""Runs on disk: journals and Parquet files, read, checked, merged."""

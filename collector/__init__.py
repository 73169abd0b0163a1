"""Measures standardized CPU and GPU workloads on one machine into Parquet."""

__version__ = "0.3.0"

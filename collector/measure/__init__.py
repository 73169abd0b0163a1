"""Measuring one cell: preparing, sampling, noise, energy, what the GPU reports."""

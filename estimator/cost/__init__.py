"""The price of one completed job on rented and own machines."""

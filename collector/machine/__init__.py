"""What this machine is: its fingerprint, and what its cloud says of it."""

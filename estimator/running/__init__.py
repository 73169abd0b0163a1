"""A user's program run in a process of its own: what ``trace`` and ``record`` share."""

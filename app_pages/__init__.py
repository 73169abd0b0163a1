"""Pages of the dashboard, one folder each; ``job`` and ``frame`` are what they share."""

"""From measured cells to ``Fitted``: parameters, corrections, intervals."""

"""How far off the model is, on cells that it was made to forget."""

"""GPU or CPU, and where: what follows from a model's answers."""

"""``Model``: what is asked; kept on disk, fitted to a part, or in a process of its own."""

"""Two published rules of thumb beside the model and the measurements."""

"""One run against another, machines against machines: what is really slower."""

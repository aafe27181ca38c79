"""Training: the compiled loop and its checkpoints."""

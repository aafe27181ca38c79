"""A training run in MLflow while it trains. It cannot change an output, so `train` does not depend on it."""

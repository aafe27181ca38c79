"""Predictions for a user's own pictures: `pictures` prepares them, `models` finds the model, `answers` prints."""

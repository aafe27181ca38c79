"""Predictions for people's own pictures.

`pictures` turns a photo or scan into what the model knows, `models` finds the model.
"""

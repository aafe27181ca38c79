"""Figures, drawn with the same style and the same bytes everywhere."""

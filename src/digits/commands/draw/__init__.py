"""A page to draw a digit on, and its server."""

"""A page to draw a digit on, and the server that answers for it."""

"""The command `digits`: a thin module for each of its commands. Libraries that are slow to import come later."""

"""Sweeps: many configurations of the pipeline, each run in a fresh clone, on this machine or on many."""

"""Tracking: one MLflow run for one state of the pipeline."""

"""Evaluation: scores and calibration."""

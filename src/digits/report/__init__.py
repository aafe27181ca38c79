"""The results page, reports/README.md."""

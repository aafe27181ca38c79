"""The datasets: the catalogue, download, the IDX format, normalization and the validation split."""

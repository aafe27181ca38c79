"""The leaderboard: every recipe with several seeds, compared.

`trials` says what to run, `robustness` measures the models on corrupted images, `tables` summarizes the runs, and
`reports` writes the files.
"""

"""Sweeps: many configurations of the pipeline, each run in a fresh clone, on many machines.

`grid` makes the configurations, `driver` hands them to Dask, `worker` is what Dask runs on each worker, and `task` runs
one configuration in a process of its own.
"""

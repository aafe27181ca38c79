"""The library behind the stages: one idea a module, importable without side effects."""

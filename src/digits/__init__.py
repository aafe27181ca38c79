"""The library behind the stages. Packages by concern; importing one has no side effect."""

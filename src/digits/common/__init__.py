"""Array types, errors, files and paths, for every package. Nothing heavy is imported here."""

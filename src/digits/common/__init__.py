"""What every package uses: array types, errors, files and paths. Nothing heavy is imported here."""

"""A store whose folder was moved or copied: its SQLite database has absolute paths, which MLflow cannot change.

The names of the columns are MLflow's; tried with MLflow 3.17.
"""

import sys
from pathlib import Path

import sqlalchemy

COLUMNS = ("artifact_location", "artifact_uri", "storage_location")  # of several tables


def relocate(uri: str, old: str, folder: Path) -> None:
    """Let artifacts be in `folder`, if they were in one of that name elsewhere.

    Args:
        uri: of the database.
        old: where the experiment's artifacts are, as the database says; a URI.
        folder: where they are if the database's folder was moved.
    """
    new = folder.as_uri()
    if old == new or not (old.startswith("file://") and old.endswith(f"/{folder.name}") and folder.is_dir()):
        return
    engine, tables = sqlalchemy.create_engine(uri), sqlalchemy.MetaData()
    tables.reflect(engine)
    with engine.begin() as connection:
        for table in tables.tables.values():
            for column in (table.columns[name] for name in COLUMNS if name in table.columns):
                moved = new + sqlalchemy.func.substr(column, len(old) + 1)
                is_below = sqlalchemy.or_(column == old, column.startswith(f"{old}/", autoescape=True))
                connection.execute(table.update().where(is_below).values({column: moved}))
    engine.dispose()
    sys.stderr.write(f"The MLflow store was moved or copied; its artifacts are now those in {folder}\n")

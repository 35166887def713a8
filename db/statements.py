"""The hot statements, one a file under `sql/`; the header of each says which invariant it keeps."""

from functools import cache
from importlib.resources import files

from sqlalchemy import TextClause, text


@cache
def source(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return files("db").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


@cache
def statement(name: str) -> TextClause:
    """`sql/NAME.sql` with its `:parameters`, to be executed."""
    return text(source(name))

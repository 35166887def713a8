"""All rows of a database out of one snapshot, and into an empty one: PostgreSQL's own COPY, a table at a time.

The schema does not travel: whoever owns it makes it anew, at the version that the rows are of. So a dump goes from any
server to any other (15 or newer, embedded or not), over the connection that the services use, and needs no programs.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from psycopg import sql
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, func, select, table, text

from actinium.errors import Conflict, InvalidInput
from db.binary_copy import psycopg_connection

VERSION_TABLE = "alembic_version"
"""Alembic's own table: migrations write it, a dump leaves it out."""
UNLIMITED = ("statement_timeout", "idle_in_transaction_session_timeout")

TABLES = """
    SELECT classes.relname AS name, array_agg(columns.attname ORDER BY columns.attnum)::text[] AS columns
    FROM pg_class AS classes
    JOIN pg_attribute AS columns ON columns.attrelid = classes.oid AND columns.attnum > 0
    WHERE classes.relnamespace = 'public'::regnamespace AND classes.relkind = 'r'
      AND NOT columns.attisdropped AND columns.attgenerated = ''
    GROUP BY classes.relname
    ORDER BY classes.relname
"""
REFERENCES = """
    SELECT DISTINCT referring.relname AS referring, referred.relname AS referred
    FROM pg_constraint AS keys
    JOIN pg_class AS referring ON referring.oid = keys.conrelid
    JOIN pg_class AS referred ON referred.oid = keys.confrelid
    WHERE keys.contype = 'f' AND keys.connamespace = 'public'::regnamespace AND referring.oid <> referred.oid
"""
FUNCTIONS = """
    SELECT CAST(CAST(oid AS regprocedure) AS text)
    FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE pg_depend.objid = pg_proc.oid AND deptype = 'e')
"""


class Table(BaseModel):
    """A table and the columns that a dump has of it: those that are not computed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    columns: tuple[str, ...]


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read-only transaction of one snapshot, without timeouts."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        _without_limits(conn)
        conn.execute(text("SET TRANSACTION READ ONLY"))
        conn.execute(text("SELECT 1 FROM pg_class LIMIT 1"))  # the snapshot is taken by the first query
        yield conn


@contextmanager
def mirror_held(engine: Engine) -> Iterator[None]:
    """Meanwhile nobody can write to `mirrored_studies` and `mirrored_trials`. Hold it for moments only.

    Two snapshots taken meanwhile, of this database and of MLflow's, are to each other as if the sink had been killed
    at that instant: MLflow has everything that these tables say it has, and perhaps more, which the sink sends again.
    """
    with engine.begin() as conn:
        conn.execute(text("LOCK TABLE mirrored_studies, mirrored_trials IN SHARE MODE"))
        yield


def tables(conn: Connection) -> list[Table]:
    """The tables but the schema's version, each after those that it refers to."""
    found = {row.name: Table(name=row.name, columns=row.columns) for row in conn.execute(text(TABLES))}
    found.pop(VERSION_TABLE, None)
    referred: dict[str, set[str]] = {name: set() for name in found}
    for row in conn.execute(text(REFERENCES)):
        referred[row.referring].add(row.referred)
    ordered: list[Table] = []
    while referred:
        free = sorted(name for name, needed in referred.items() if not needed & referred.keys())
        assert free, f"these tables refer to each other in a ring: {sorted(referred)}"
        for name in free:
            del referred[name]
            ordered.append(found[name])
    return ordered


def check_own(conn: Connection, given: Iterable[Table], rows: Iterable[str], sequences: Iterable[str]) -> None:
    """InvalidInput where a backup names a table, column or sequence that the schema does not have: it is not trusted,
    and the server's own tables (roles, settings) have names, too.
    """
    own = {table.name: set(table.columns) for table in tables(conn)}
    numbered = set(conn.execute(text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")).scalars())
    strange = [table.name for table in given if not set(table.columns) <= own.get(table.name, set())]
    strange += [name for name in rows if name not in own] + [name for name in sequences if name not in numbered]
    if strange:
        raise InvalidInput(f"it names {strange[0][:80]!r}, of which this schema has no such table, column or sequence")


def copy_out(conn: Connection, table: Table) -> Iterator[bytes]:
    """The table's rows as COPY's text, a line a row, in blocks of whatever size the server sends."""
    command = sql.SQL("COPY {} ({}) TO STDOUT").format(*_words(table))
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(command) as copy:
        for block in copy:
            yield bytes(block)


def copy_in(conn: Connection, table: Table, blocks: Iterable[bytes]) -> int:
    """Write the rows of `copy_out`; how many."""
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(*_words(table))
    rows = 0
    with psycopg_connection(conn).cursor() as cursor, cursor.copy(command) as copy:
        for block in blocks:
            rows += block.count(b"\n")
            copy.write(block)
    return rows


def counts(conn: Connection, names: Iterable[str]) -> dict[str, int]:
    """How many rows each table has."""
    return {
        name: int(conn.execute(select(func.count()).select_from(table(name, schema="public"))).scalar_one())
        for name in names
    }


def sequences(conn: Connection) -> dict[str, int]:
    """The last number that each sequence gave; those that gave none are absent."""
    found = conn.execute(
        text("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL")
    )
    return {row.sequencename: int(row.last_value) for row in found}


def set_sequences(conn: Connection, last: Mapping[str, int]) -> None:
    """Set sequences to their last values, so that the next id is a new one."""
    for name, value in last.items():
        conn.execute(text("SELECT setval(CAST(:name AS regclass), :value)"), {"name": _quoted(name), "value": value})


def empty(conn: Connection) -> None:
    """Empty every table, in the transaction that will fill them: migrations may have written rows of their own."""
    names = ", ".join(_quoted(found.name) for found in tables(conn))
    if names:
        conn.execute(text(f"TRUNCATE {names}"))


def clear(engine: Engine, *, whose: str) -> None:
    """Make sure that nothing is in a database: Conflict when a table has rows. Tables without any are dropped."""
    with engine.begin() as conn:
        _without_limits(conn)
        found = [one.name for one in tables(conn)]
        full = sorted(name for name, rows in counts(conn, found).items() if rows)
        if full:
            raise Conflict(
                f"{whose} is not empty ({', '.join(full[:5])}{', ...' if len(full) > 5 else ''} have rows); "
                "a backup is restored into empty databases only: give others, or drop and make these anew"
            )
        for name in (*found, VERSION_TABLE):
            conn.execute(text(f"DROP TABLE IF EXISTS {_quoted(name)} CASCADE"))
        for (function,) in conn.execute(text(FUNCTIONS)).all():
            conn.exec_driver_sql(f"DROP FUNCTION {function} CASCADE")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction without timeouts that has emptied every table; the caller commits it."""
    with engine.connect() as conn:
        _without_limits(conn)
        empty(conn)
        yield conn


def _without_limits(conn: Connection) -> None:
    for name in UNLIMITED:
        conn.execute(text(f"SET LOCAL {name} = 0"))


def _words(table: Table) -> tuple[sql.Identifier, sql.Composed]:
    return sql.Identifier("public", table.name), sql.SQL(", ").join(map(sql.Identifier, table.columns))


def _quoted(name: str) -> str:
    """A name of the schema's own for a statement. Names come from a catalogue or a backup's manifest, and are plain
    words; without its schema a name would be looked for among the server's own first.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Conflict(f"{name[:120]!r} is no table's name")
    return f'public."{name}"'

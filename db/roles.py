"""The role of the services: it owns their two databases and may nothing else, so that who gets hold of a service's
connection is no superuser of the server.
"""

from collections.abc import Sequence

from psycopg import sql
from sqlalchemy import Connection, Engine, text

from db.binary_copy import psycopg_connection

RIGHTS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
OWNED = """
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END
        AS kind, CAST(CAST(pg_class.oid AS regclass) AS text) AS name
    FROM pg_class
    WHERE relnamespace = CAST('public' AS regnamespace) AND relkind IN ('r', 'p', 'S', 'v', 'm')
      AND pg_get_userbyid(relowner) <> :role
      AND NOT EXISTS ( -- a sequence of a column follows its table
        SELECT FROM pg_depend WHERE pg_depend.objid = pg_class.oid AND relkind = 'S' AND deptype IN ('a', 'i')
      )
    UNION ALL
    SELECT 'FUNCTION', CAST(CAST(pg_proc.oid AS regprocedure) AS text)
    FROM pg_proc
    WHERE pronamespace = CAST('public' AS regnamespace) AND pg_get_userbyid(proowner) <> :role
"""
"""What of a database's schema is somebody else's, as words that ALTER takes."""


def make_role(admin: Engine, *, role: str, password: str | None, databases: Sequence[str]) -> None:
    """Make the role and its databases where they are missing. `admin`: a superuser, on any database of the server."""
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        known = conn.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).scalar_one_or_none()
        _say(conn, "{verb} ROLE {role} WITH " + RIGHTS, role=role, verb="ALTER" if known else "CREATE")
        if password is not None:  # its hash is made here: the server's log need not see it
            hashed = psycopg_connection(conn).pgconn.encrypt_password(
                password.encode(), role.encode(), b"scram-sha-256"
            )
            _say(conn, "ALTER ROLE {role} PASSWORD {hashed}", role=role, hashed=sql.Literal(hashed.decode()))
        there = set(conn.execute(text("SELECT datname FROM pg_database")).scalars())
        for name in databases:
            command = (
                "ALTER DATABASE {name} OWNER TO {role}" if name in there else "CREATE DATABASE {name} OWNER {role}"
            )
            _say(conn, command, name=name, role=role)


def give(admin: Engine, *, role: str) -> None:
    """Give the role all that is in a database's schema: an installation from before had everything as a superuser's."""
    with admin.begin() as conn:
        _say(conn, "ALTER SCHEMA public OWNER TO {role}", role=role)
        for kind, name in conn.execute(text(OWNED), {"role": role}).all():
            _say(conn, "ALTER {kind} {what} OWNER TO {role}", kind=kind, what=sql.SQL(name), role=role)


def _say(conn: Connection, command: str, **words: str | sql.Composable) -> None:
    """A command that takes no parameters; words are names, but for the keywords `verb` and `kind`."""
    given = {
        key: word
        if isinstance(word, sql.Composable)
        else sql.SQL(word)
        if key in ("verb", "kind")
        else sql.Identifier(word)
        for key, word in words.items()
    }
    psycopg_connection(conn).execute(sql.SQL(command).format(**given))

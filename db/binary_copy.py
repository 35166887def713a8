"""PostgreSQL's binary COPY format from numpy, a whole column at a time.

Rows of fixed width only: no NULL, no text. The format (PostgreSQL documentation, COPY, "Binary Format"): a header; for
each row the number of fields (int16) and for each field its length (int32) and bytes; a trailer of -1 (int16). All
numbers are big-endian. An array is its dimensions, a flag for NULLs, the element type's oid, then length and lower
bound of each dimension, and its elements as fields.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
FLOAT4_OID = 700

Column = tuple[str, str]
"""A name and a big-endian numpy type: `('step', '>i4')`."""


def psycopg_connection(conn: Connection) -> "psycopg.Connection[Any]":
    """The driver's connection under SQLAlchemy's, in the same transaction."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def rows_type(columns: Sequence[Column], *, array: Column | None = None, length: int = 0) -> np.dtype[np.void]:
    """The layout of a row in the format: each field behind its length; `array` is a last field of float4s."""
    fields: list[Any] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_bytes", ">i4"), (name, kind)]
    if array is not None:
        name, kind = array
        head = [("bytes", ">i4"), ("dimensions", ">i4"), ("nulls", ">i4"), ("oid", ">i4"), ("length", ">i4")]
        fields += [(f"{name}_{part}", number) for part, number in [*head, ("low", ">i4")]]
        fields += [(name, np.dtype([("bytes", ">i4"), ("value", kind)]), (length,))]
    return np.dtype(fields)


def encode(columns: Sequence[tuple[Column, NDArray[Any]]], *, array: tuple[str, NDArray[np.float32]]) -> bytes:
    """Rows of scalars and one float4 array each, as a whole binary COPY stream.

    Each column [F]; the array [F, S] with S at least 1.
    """
    name, values = array
    count, length = values.shape
    kinds = [column for column, _ in columns]
    rows = np.zeros(count, dtype=rows_type(kinds, array=(name, ">f4"), length=length))
    rows["fields"] = len(columns) + 1
    for (column, kind), data in columns:
        rows[f"{column}_bytes"] = np.dtype(kind).itemsize
        rows[column] = data
    rows[f"{name}_bytes"] = 20 + 8 * length
    rows[f"{name}_dimensions"] = 1
    rows[f"{name}_oid"] = FLOAT4_OID
    rows[f"{name}_length"] = length
    rows[f"{name}_low"] = 1
    rows[name]["bytes"] = 4
    rows[name]["value"] = values
    return HEADER + rows.tobytes() + TRAILER

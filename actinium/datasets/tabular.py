"""CSV and Parquet files as the arrays of an .npz: a column of labels or numbers to predict, the others as inputs.

`python -m actinium.datasets.tabular` reads a file from standard input and writes a line of JSON and the .npz. The
service runs it as a child process: pyarrow is a large library in C++, and a file from outside must not be able to end
the service or take its memory. Legend: N rows, D columns of inputs.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actinium.child import clean_environment
from actinium.datasets.archive import LONGEST_TEXT, refusal, written
from actinium.datasets.file import check_size
from actinium.errors import FieldError, InvalidInput, TooLarge

LABELS = ("label", "labels", "class", "target", "targets", "y")
"""Columns that are to be learned, in small letters; where there is none of them, the last column is."""
SPLIT = "split"
INDICES = ("", "unnamed: 0", "__index_level_0__", "index")
"""Columns that pandas writes beside the data; a first one of these names that counts the rows is left out."""
DELIMITERS = ",;\t"
PARQUET = b"PAR1"
MOST_COLUMNS = 100_000
BATCH_ROWS = 65_536
MOST_MEMORY = 8 * 2**30
"""Bytes of memory that the child may have."""
SECONDS = 300.0
MOST_SHOWN = 100_000
"""Rows in which the first word among numbers is looked for."""


def is_table(content: bytes) -> bool:
    """Whether a file can be Parquet, or text in columns."""
    if content[:4] == PARQUET and content[-4:] == PARQUET:
        return True
    head = content[:65_536]
    return b"\x00" not in head and any(delimiter.encode() in head for delimiter in DELIMITERS) and b"\n" in head


def read_table(content: bytes, *, label: str | None, most_bytes: int) -> tuple[bytes, list[str]]:
    """An .npz of what a table holds, and what is to be said of its columns. The table is read in a child process.

    InvalidInput says what is wrong, at the column; TooLarge that it is too much.
    """
    command = [sys.executable, "-m", "actinium.datasets.tabular", str(most_bytes)]
    request = json.dumps({"label": label}).encode() + b"\n" + content
    try:
        child = subprocess.run(  # noqa: S603 - our own module, and nothing of the file on the command line
            command, input=request, capture_output=True, timeout=SECONDS, env=clean_environment(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise refusal("", f"the table took more than {SECONDS:g} s to read; give fewer rows or an .npz") from error
    line, _, npz = child.stdout.partition(b"\n")
    try:
        answer = json.loads(line)
    except ValueError as error:
        fault = f"the table is damaged, or needs more than {MOST_MEMORY // 2**30} GiB to read; try an .npz"
        raise refusal("", fault) from error
    if "too_large" in answer:
        raise TooLarge(answer["too_large"])
    if "errors" in answer:
        faults = [FieldError(path, message) for path, message in answer["errors"]]
        raise InvalidInput("the dataset is not accepted", faults)
    return npz, list(answer["said"])


def converted(content: bytes, *, label: str | None, most_bytes: int) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """The arrays of a table: `inputs` [N, D] float64, `y` or `targets`, and `split` where it has such a column."""
    table = _parquet(content, most_bytes=most_bytes) if content[:4] == PARQUET else _csv(content)
    names = [str(name) for name in table.column_names]
    _check_names(names)
    said = []
    if len(names) > 1 and names[0].lower() in INDICES and _counts_rows(table.column(0)):
        said.append(f"column {names[0]!r} counts the rows and is left out")
        table, names = table.drop_columns(names[:1]), names[1:]
    learned = _learned(names, label)
    split = next((name for name in names if name.lower() == SPLIT and name != learned), None)
    features = [name for name in names if name not in (learned, split)]
    if not features:
        raise refusal("", f"has no column but {learned!r}; give inputs beside it, a column each")
    check_size((table.num_rows, len(features)), np.dtype("f8"), most_bytes=most_bytes)
    inputs = np.empty((table.num_rows, len(features)), dtype=np.float64)
    for place, name in enumerate(features):
        inputs[:, place] = _numbers(name, table.column(name))
    by = f", in the parts that {split!r} names" if split else ""
    said.append(f"columns: {learned!r} is learned from {len(features)} others{by}")

    def values(name: str) -> NDArray[Any]:
        return _values(name, table.column(name), most_bytes=most_bytes)

    arrays: dict[str, NDArray[Any]] = {"inputs": inputs, _role(learned): values(learned)}
    if split is not None:
        arrays[SPLIT] = values(split)
    return arrays, said


def _role(learned: str) -> str:
    """The array's name by which labels are told from numbers to predict."""
    return learned.lower() if learned.lower() in LABELS else "y"


def _learned(names: Sequence[str], label: str | None) -> str:
    if label is not None:
        if label not in names:
            shown = ", ".join(names[:10])
            raise refusal("label", f"there is no column {label[:80]!r}; the columns are {shown}")
        return label
    found = [name for name in names if name.lower() in LABELS]
    if len(found) > 1:
        raise refusal("", f"the columns {' and '.join(found[:5])} can be what is learned; say --label {found[0]}")
    left = [name for name in names if name.lower() != SPLIT]
    return found[0] if found else left[-1]


def _check_names(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise refusal("", "has one column; give columns of inputs and one of labels, with commas between")
    if len(names) > MOST_COLUMNS:
        raise refusal("", f"has {len(names)} columns; at most {MOST_COLUMNS} are accepted; give an .npz")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise refusal("", f"two columns are called {twice[0][:80]!r}; name each column once")
    if all(_is_number(name) for name in names):
        raise refusal("", "the first line holds numbers; it must name the columns, as in a,b,label")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _csv(content: bytes) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal("", f"not UTF-8 text at byte {error.start}; save it as UTF-8") from error
    first = content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    delimiter = max(DELIMITERS, key=first.count)
    words = ["", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a"]
    try:
        return csv.read_csv(
            pa.BufferReader(content),
            # one block, so that a column's type is that of all its rows and not of the first ones
            read_options=csv.ReadOptions(use_threads=False, block_size=max(2, min(len(content) + 1, 2**31 - 2))),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=False),
            convert_options=csv.ConvertOptions(null_values=words, strings_can_be_null=True),
        )
    except (pa.ArrowException, ValueError) as error:
        fault = f"not a CSV file that can be read ({str(error)[:200]}); give each row as many fields as the first"
        raise refusal("", fault) from error


def _parquet(content: bytes, *, most_bytes: int) -> Any:
    """The table, read in parts, and never more rows than its head says; words stay in their dictionary."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(pa.BufferReader(content))
        schema, rows = file.schema_arrow, file.metadata.num_rows
        for field in schema:
            if pa.types.is_nested(field.type):
                raise refusal(field.name, f"is no column of numbers ({field.type}); give a column for each number")
        words = [field.name for field in schema if _is_text(field.type) or _is_bytes(field.type)]
        check_size((rows, max(1, len(schema) - len(words))), np.dtype("f8"), most_bytes=most_bytes)
        file = parquet.ParquetFile(pa.BufferReader(content), read_dictionary=words)
        batches, done = [], 0
        for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            done += batch.num_rows
            if done > rows:
                raise refusal("", f"has more rows than the {rows} that its head says; write it again")
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=batches[0].schema if batches else schema)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise refusal("", f"not a Parquet file that can be read ({str(error)[:200]}); write it again") from error


def _complete(name: str, column: Any) -> Any:
    if column.null_count:
        first = int(np.argmax(column.is_null().to_numpy()))
        many = f"({column.null_count} in all)" if column.null_count > 1 else ""
        raise refusal(name, f"has no value in row {first + 1} {many}".rstrip() + "; fill it in, or leave the row out")
    return column


def _numbers(name: str, column: Any) -> NDArray[Any]:
    """A column as numbers."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_boolean(kind):
        return np.asarray(_complete(name, column).cast(pa.int8()).to_numpy())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(_complete(name, column).to_numpy())
    if pa.types.is_decimal(kind):
        return np.asarray(_complete(name, column).cast(pa.float64()).to_numpy())
    shown = next((word for word in map(str, column.slice(0, MOST_SHOWN).to_pylist()) if not _is_number(word)), "")
    such = f", such as {shown[:40]!r}" if shown else ""
    raise refusal(name, f"is no column of numbers{such} ({kind}); give one of 0 and 1 for each word, or leave it out")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _values(name: str, column: Any, *, most_bytes: int) -> NDArray[Any]:
    """A column as labels: numbers, or words."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(kind):
        values = _numbers(name, column)
        return values.astype(bool) if pa.types.is_boolean(kind) else values
    encoded = _complete(name, column).combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    known = [str(word) for word in encoded.dictionary.to_pylist()]
    longest = max(map(len, known), default=1)
    if longest > LONGEST_TEXT:
        raise refusal(name, f"holds a word of {longest} characters; give words of at most {LONGEST_TEXT}")
    words = np.array(known, dtype=str)
    check_size((len(column), longest), np.dtype("f4"), most_bytes=most_bytes)
    return np.asarray(words[encoded.indices.to_numpy(zero_copy_only=False)])


def _counts_rows(column: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    values = column.to_numpy()
    return bool(len(values) and (np.diff(values) == 1).all())


def main() -> None:
    """Read a request and a file, write an answer and an .npz."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # not everywhere, and not every system bounds this

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    request, _, content = sys.stdin.buffer.read().partition(b"\n")
    npz = b""
    answer: dict[str, Any]
    try:
        arrays, said = converted(content, label=json.loads(request)["label"], most_bytes=int(sys.argv[1]))
        npz, answer = written(arrays, compressed=False), {"said": said}
    except InvalidInput as error:
        answer = {"errors": [list(fault) for fault in error.errors]}
    except TooLarge as error:
        answer = {"too_large": str(error)}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + npz)


if __name__ == "__main__":
    main()

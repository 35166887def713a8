"""CSV and Parquet files: which column is learned, what is left out, and what is refused."""

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from actinium.child import INHERITED
from actinium.datasets import tabular
from actinium.datasets.recognition import Recognition, recognize
from actinium.datasets.tabular import converted, is_table, read_table
from actinium.errors import InvalidInput, TooLarge

N = 30
R = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "length": R.normal(size=N),
        "count": R.integers(0, 9, N),
        "wet": R.integers(0, 2, N) > 0,
        "label": np.array(["cat", "dog", "eel"])[np.arange(N) % 3],
    }
)
SPLIT = ["train"] * 16 + ["val"] * 6 + ["test"] * 8


def csv(table: pd.DataFrame, **options: Any) -> bytes:
    """As pandas writes it, without its index."""
    return table.to_csv(**{"index": False, **options}).encode()


def parquet_of(table: pd.DataFrame) -> bytes:
    """As pandas writes it."""
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


def dataset(content: bytes, label: str | None = None) -> tuple[Recognition, list[str]]:
    """What is recognized of a table, without a process of its own."""
    arrays, said = converted(content, label=label, most_bytes=10**7)
    npz = io.BytesIO()
    np.savez(npz, **arrays)  # type: ignore[arg-type]
    return recognize(npz.getvalue(), most_bytes=10**7), said


FILES = [
    ("csv", csv(TABLE)),
    ("with pandas' index", csv(TABLE, index=True)),
    ("semicolons", csv(TABLE, sep=";")),
    ("tabs and a mark", b"\xef\xbb\xbf" + csv(TABLE, sep="\t")),
    ("CRLF", csv(TABLE, lineterminator="\r\n")),
    ("parquet", parquet_of(TABLE)),
    ("parquet of categories", parquet_of(TABLE.astype({"label": "category"}))),
    ("label first", csv(TABLE[["label", "length", "count", "wet"]])),
]


@pytest.mark.parametrize(("what", "content"), FILES, ids=[what for what, _ in FILES])
def test_a_table_is_read_whoever_wrote_it(what: str, content: bytes) -> None:
    """Every number exactly, the column `label` as classes."""
    assert is_table(content)
    found, said = dataset(content)
    expected = TABLE[["length", "count", "wet"]].to_numpy(dtype=np.float64)
    np.testing.assert_array_equal(found.arrays.inputs[:, :, 0, 0], expected)
    np.testing.assert_array_equal(found.arrays.labels, np.arange(N) % 3)
    assert found.recognized.label_names == ["cat", "dog", "eel"]
    assert "columns: 'label' is learned from 3 others" in said
    assert any("counts the rows and is left out" in sentence for sentence in said) is (what == "with pandas' index")


def test_the_last_column_is_learned_where_none_has_a_name_for_it() -> None:
    found, said = dataset(csv(TABLE.rename(columns={"label": "animal"})))
    assert "columns: 'animal' is learned from 3 others" in said and found.arrays.facts().classes == 3


def test_a_column_can_be_named() -> None:
    """Numbers that are not whole are a regression."""
    numbers = TABLE.drop(columns="label")
    found, _ = dataset(csv(numbers), label="length")
    assert found.arrays.targets is not None
    np.testing.assert_array_equal(found.arrays.targets, TABLE["length"].to_numpy(dtype=np.float32))
    found, _ = dataset(csv(numbers), label="wet")
    assert found.recognized.label_form == "booleans"


@pytest.mark.parametrize("write", [csv, parquet_of])
def test_a_column_called_split_is_a_split_of_its_own(write: Any) -> None:
    shuffled = TABLE.assign(Split=SPLIT).sample(frac=1.0, random_state=1)
    found, said = dataset(write(shuffled.reset_index(drop=True)))
    assert (found.arrays.validation, found.arrays.test) == (6, 8)
    assert "columns: 'label' is learned from 3 others, in the parts that 'Split' names" in said
    in_order = pd.concat([shuffled[shuffled["Split"] == part] for part in ("train", "val", "test")])
    np.testing.assert_array_equal(found.arrays.inputs[:, 0, 0, 0], in_order["length"])


GAPS = TABLE.assign(count=[None, *range(N - 1)])
WRONG: list[tuple[str, bytes, str | None, str, str]] = [
    ("words", csv(TABLE), "count", "label", "is no column of numbers, such as 'cat' (string)"),
    ("a word among numbers", csv(TABLE.assign(count=["1"] * 29 + ["x"])), None, "count", "such as 'x'"),
    ("a date", csv(TABLE.assign(count="2026-11-26")), None, "count", "such as '2026-11-26'"),
    ("a gap", csv(GAPS), None, "count", "has no value in row 1; fill it in"),
    ("a gap in parquet", parquet_of(GAPS.astype({"count": "Int64"})), None, "count", "has no value in row 1;"),
    ("a label missing", csv(TABLE.assign(label=[None, "b"] * 15)), None, "label", "has no value in row 1 (15 in all)"),
    ("no such column", csv(TABLE), "animal", "label", "there is no column 'animal'; the columns are length"),
    ("two to learn", csv(TABLE.assign(y=1)), None, "", "label and y can be what is learned; say --label label"),
    ("no names", b"1,2,3\n4,5,6\n", None, "", "the first line holds numbers; it must name the columns"),
    ("one column", b"a\n1\n", None, "", "has one column"),
    ("twice", b"a,a,y\n1,2,3\n", None, "", "two columns are called 'a'"),
    ("ragged", b"a,b\n1,2,3\n", None, "", "Expected 2 columns, got 3"),
    ("latin-1", "a,å\n1,2\n".encode("latin-1"), None, "", "not UTF-8 text at byte 2"),
    ("nothing beside", b"split,y\ntrain,1\n", None, "", "has no column but 'y'"),
    ("damaged", b"PAR1" + b"\x01" * 100 + b"PAR1", None, "", "not a Parquet file that can be read"),
    ("lists", parquet_of(TABLE.assign(count=[[1, 2]] * N)), None, "count", "is no column of numbers"),
]


@pytest.mark.parametrize(("what", "content", "label", "path", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said_at_its_column(
    what: str, content: bytes, label: str | None, path: str, words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        dataset(content, label)
    (fault,) = caught.value.errors
    assert fault.path == path and words in fault.message, fault


def test_a_table_is_bounded_before_it_is_an_array() -> None:
    """By rows and columns; a Parquet file by its head, before any of it is inflated."""
    with pytest.raises(TooLarge, match=r"inputs of shape \(30, 3\) are 720 bytes"):
        converted(csv(TABLE), label=None, most_bytes=719)
    zeros = pa.table({"a": pa.array(np.zeros(10**6)), "y": pa.array(np.zeros(10**6))})
    file = io.BytesIO()
    parquet.write_table(zeros, file, compression="zstd")
    assert len(file.getvalue()) < 10_000
    with pytest.raises(TooLarge, match="16000000 bytes"):
        converted(file.getvalue(), label=None, most_bytes=10**6)


def test_long_words_that_stand_often_take_little_room() -> None:
    """A word is inflated once, and not for each of its rows; here 100 kB in 100,000 rows."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.arange(10**5) % 2, pa.int32()), pa.array(["a" * 10**5, "b"]))
    file = io.BytesIO()
    parquet.write_table(pa.table({"x": np.arange(10**5) / 7, "y": words}), file)
    tracked = pa.default_memory_pool()
    before = tracked.bytes_allocated()
    with pytest.raises(InvalidInput, match="characters; give words of at most 100"):
        converted(file.getvalue(), label=None, most_bytes=10**8)
    assert tracked.max_memory() - before < 10**8


def test_what_is_no_table_is_known() -> None:
    for content in (b"", b"hello", b"\x00,\n", b"one line, no more", b"a\nb\n"):
        assert not is_table(content)


def test_the_child_process_answers_as_the_function_does() -> None:
    """The arrays of a good table, the faults of a bad one, and that one is too large."""
    npz, said = read_table(csv(TABLE.assign(split=SPLIT)), label=None, most_bytes=10**6)
    found = recognize(npz, most_bytes=10**6)
    assert (found.arrays.validation, found.arrays.test) == (6, 8) and len(said) == 1
    with pytest.raises(InvalidInput) as caught:
        read_table(csv(TABLE), label="animal", most_bytes=10**6)
    assert [fault.path for fault in caught.value.errors] == ["label"]
    with pytest.raises(TooLarge, match="720 bytes"):
        read_table(csv(TABLE), label=None, most_bytes=719)


@pytest.mark.parametrize("code", ["raise MemoryError", "import os; os.abort()", "pass"])
def test_a_child_that_dies_is_a_refusal(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of memory, of a fault in the library, or without a word."""
    run = subprocess.run

    def other(command: list[str], **options: Any) -> Any:
        return run([sys.executable, "-c", code], **options)

    monkeypatch.setattr(tabular.subprocess, "run", other)
    with pytest.raises(InvalidInput, match="damaged, or needs more than 8 GiB"):
        read_table(csv(TABLE), label=None, most_bytes=10**6)


def test_the_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTINIUM_ADMIN_TOKEN", "secret")
    run, seen = subprocess.run, []

    def watched(command: list[str], **options: Any) -> Any:
        seen.append(options["env"])
        return run(command, **options)

    monkeypatch.setattr(tabular.subprocess, "run", watched)
    read_table(csv(TABLE), label=None, most_bytes=10**6)
    assert set(seen[0]) <= INHERITED | {"PYTHONPATH"} and "secret" not in seen[0].values()

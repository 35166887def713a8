"""The arrays of an .npz file that comes from outside: nothing is unpickled, and nothing is inflated before its size is
known from the headers and accepted.
"""

import ast
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from actinium.errors import FieldError, InvalidInput

MEND = "write it with numpy.savez(FILE, inputs=..., labels=...), or targets=... for numbers to predict"
CHUNK_BYTES = 2**23
LARGEST_DIRECTORY = 2**16
"""Bytes of a zip's table of contents; two entries need some 200."""
END_OF_DIRECTORY, ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    OSError,
)
"""What reading a damaged, encrypted or strangely compressed zip raises."""


def refusal(path: str, message: str) -> InvalidInput:
    """One fault of the file."""
    return InvalidInput("the dataset is not accepted", [FieldError(path, message)])


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an .npy member says of itself, and where its data begins."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    offset: int

    def elements(self) -> int:
        """How many there are."""
        count = 1
        for size in self.shape:
            count *= size
        return count


LENGTHS = {(1, 0): "<H", (2, 0): "<I"}
"""How the length of an array's header is written, by version of numpy's format."""
LARGEST_HEADER = 10_000


def is_zip(content: bytes) -> bool:
    """Whether there is a zip's end of directory where it belongs."""
    end = content.rfind(END_OF_DIRECTORY, -65_557)
    return 0 <= end <= len(content) - 22


@contextmanager
def opened(content: bytes) -> Iterator[zipfile.ZipFile]:
    """The archive, its table of contents known to be small before it is read. What its damage raises is a refusal."""
    if not is_zip(content):
        raise refusal("", f"not an .npz file (a zip archive); {MEND}")
    end = content.rfind(END_OF_DIRECTORY, -65_557)
    (directory,) = struct.unpack_from("<L", content, end + 12)
    if directory > LARGEST_DIRECTORY or content[max(0, end - 20) : end].startswith(ZIP64_LOCATOR):
        raise refusal("", f"the archive lists more than a few arrays such as inputs and labels; {MEND}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive
    except BROKEN as error:
        raise refusal("", f"the archive is damaged ({str(error)[:120] or type(error).__name__}); {MEND}") from error


def read_header(archive: zipfile.ZipFile, name: str, *, text: bool = False) -> Header:
    """The header of the member `name`.npy; its size must be what the header says. `text`: words are accepted too."""
    information = archive.getinfo(f"{name}.npy")
    with archive.open(information) as stream:
        try:
            shape, fortran_order, dtype = _described(stream)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, struct.error) as error:
            raise refusal(name, f"no array in numpy's format ({str(error)[:120]}); {MEND}") from error
        offset = stream.tell()
    _check_type(name, dtype, text=text)
    if any(size < 0 for size in shape):
        raise refusal(name, f"has the impossible shape {shape}; {MEND}")
    header = Header(shape=shape, fortran_order=bool(fortran_order), dtype=dtype, offset=offset)
    if information.file_size != offset + header.elements() * dtype.itemsize:
        raise refusal(name, f"has not the size that its shape {shape} of {dtype} needs; {MEND}")
    return header


def _described(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type that a header names. Read by hand: numpy's own reader, which wants to understand headers
    that Python 2 wrote, raises a dozen kinds of errors at what others make of them.
    """
    version = np.lib.format.read_magic(stream)
    if version not in LENGTHS:
        raise ValueError(f"version {version} of the format")
    form = LENGTHS[version]
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > LARGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    found = ast.literal_eval(stream.read(length).decode("latin-1").strip())
    if not isinstance(found, dict) or found.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("the header does not name type, order and shape")
    descr, order, shape = found["descr"], found["fortran_order"], found["shape"]
    if not isinstance(order, bool) or not isinstance(shape, tuple) or any(type(size) is not int for size in shape):
        raise ValueError("the header's shape or order is none")
    if not isinstance(descr, str) or not re.fullmatch(r"[<>|=]?[A-Za-z?][0-9]{0,6}", descr):
        raise ValueError(f"it has the type {str(descr)[:40]}, which is none of plain numbers")
    return shape, order, np.dtype(descr)


def _check_type(name: str, dtype: np.dtype[Any], *, text: bool) -> None:
    if text and dtype.kind in "US" and 0 < dtype.itemsize <= 4 * LONGEST_TEXT:
        return
    if dtype.hasobject:
        fault = f"has the type {str(dtype)[:40]}: Python objects are pickled, and no pickle is opened; "
        raise refusal(name, fault + ("save .astype(str), or integers" if text else "save .astype(float)"))
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise refusal(name, f"has the type {str(dtype)[:40]}; give numbers of at most 8 bytes, e.g. float32 or uint8")


LONGEST_TEXT = 100
"""Characters of a word in an array of words."""


def read_array(archive: zipfile.ZipFile, name: str, header: Header) -> NDArray[Any]:
    """The array as its header says; never more bytes than that."""
    size = header.elements() * header.dtype.itemsize
    buffer = bytearray(size)
    with archive.open(f"{name}.npy") as stream:
        _skip(stream, header.offset)
        done = 0
        while done < size:
            block = stream.read(min(CHUNK_BYTES, size - done))
            if not block:
                raise refusal(name, f"ends after {done} of {size} bytes; {MEND}")
            buffer[done : done + len(block)] = block
            done += len(block)
        stream.read(1)  # the end, where the checksum is compared
    flat = np.frombuffer(buffer, dtype=header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _skip(stream: IO[bytes], count: int) -> None:
    while count:
        count -= len(stream.read(count)) or count


def written(arrays: Mapping[str, NDArray[Any]], *, compressed: bool) -> bytes:
    """An .npz file of the arrays; compressed as fast as may be."""
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of no date: equal arrays are equal files
            entry.compress_type = method
            with archive.open(entry, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()

"""The IDX files in which MNIST and Fashion-MNIST are published (http://yann.lecun.com/exdb/mnist).

Big-endian: two zero bytes, the element type (8: unsigned byte), the number of dimensions, each dimension as an
unsigned 32-bit integer, then the elements in row-major order.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actinium.errors import InvalidInput

UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array of an IDX file, plain or gzipped (`.gz`); InvalidInput unless it holds bytes of exactly `shape`."""
    header_length = 4 + 4 * len(shape)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile) as error:
        raise InvalidInput(f"{path}: not a whole gzip file ({error}); remove it and fetch it again") from error
    if len(content) < header_length:
        raise InvalidInput(f"{path}: {len(content)} bytes are too few for an IDX header; remove it and fetch it again")
    magic, *dimensions = struct.unpack(f">{1 + len(shape)}I", content[:header_length])
    if magic != (UNSIGNED_BYTE << 8 | len(shape)) or tuple(dimensions) != shape:
        raise InvalidInput(
            f"{path}: the header says magic {magic:#010x} and dimensions {tuple(dimensions)}, not "
            f"{UNSIGNED_BYTE << 8 | len(shape):#010x} and {shape}; is it the official file?"
        )
    expected = header_length + int(np.prod(shape))
    if len(content) != expected:
        raise InvalidInput(f"{path}: {len(content)} bytes instead of {expected}; remove it and fetch it again")
    return np.frombuffer(content, np.uint8, offset=header_length).reshape(shape)

"""Reading a backup's file, which is not trusted: it is checked whole against its manifest before a row is used."""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO

from pydantic import ValidationError

from actinium.errors import InvalidInput
from services.stack.archive.manifest import (
    ARTIFACTS,
    BLOCK_BYTES,
    MANIFEST,
    MANIFEST_DIGEST,
    Digest,
    Manifest,
    Section,
    folder_of,
    section_of,
)

MANIFEST_BYTES = 2**24
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member. Its bytes may be read once, before the next member is asked for."""

    name: str
    section: str
    size: int
    file: IO[bytes]

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, in blocks of bounded size. InvalidInput where the file ends too early."""
        try:
            while block := self.file.read(BLOCK_BYTES):
                yield block
        except tarfile.TarError as error:
            raise InvalidInput(f"it was cut off in {self.name}") from error

    def rows(self) -> Iterator[bytes]:
        """The rows of a piece, in blocks of bounded size. InvalidInput when they cannot be unpacked."""
        unpacking = zlib.decompressobj(wbits=31)
        try:
            for block in self.blocks():
                while block:
                    yield unpacking.decompress(block, BLOCK_BYTES)
                    block = unpacking.unconsumed_tail
        except zlib.error as error:
            raise InvalidInput(f"{self.name} cannot be unpacked: {error}") from error
        if not unpacking.eof:
            raise InvalidInput(f"{self.name} cannot be unpacked: it ends too early")


def members(file: IO[bytes]) -> Iterator[Member]:
    """The members from the beginning. InvalidInput at the first that no backup has, such as a link or `..`."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for found in tar:
                tar.members = []  # type: ignore[attr-defined] # it would keep them all
                section = section_of(found.name)
                content = tar.extractfile(found) if found.type in REGULAR and not found.issparse() else None
                if section is None or content is None:
                    raise InvalidInput(f"it is no backup: no backup has a member {found.name[:200]!r}")
                yield Member(name=found.name, section=section, size=found.size, file=content)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise InvalidInput(f"it is damaged, or no backup: {error}") from error


def verify(file: IO[bytes]) -> Manifest:
    """Read the whole file and hold it against its manifest. InvalidInput says what is wrong. Writes nothing."""
    digests: dict[str, Digest] = {}
    ends: dict[str, bytes] = {}
    for member in members(file):
        if ends and member.name != MANIFEST_DIGEST:
            raise InvalidInput(f"it is no backup: {member.name!r} stands behind the manifest")
        if member.section == MANIFEST:
            ends[member.name] = _small(member)
            continue
        digest = digests.setdefault(member.section, Digest())
        digest.begin(member.name, member.size)
        for block in member.blocks():
            digest.update(block)
    return _held_against(ends, {name: digest.section() for name, digest in digests.items()})


def _small(member: Member) -> bytes:
    if member.size > MANIFEST_BYTES:
        raise InvalidInput(f"it is no backup: {member.name} of {member.size:,} bytes, more than {MANIFEST_BYTES:,}")
    return b"".join(member.blocks())


def _held_against(ends: Mapping[str, bytes], found: Mapping[str, Section]) -> Manifest:
    if MANIFEST not in ends or MANIFEST_DIGEST not in ends:
        raise InvalidInput("it was cut off, or is damaged: its end, the manifest, is missing")
    if hashlib.sha256(ends[MANIFEST]).hexdigest().encode() != ends[MANIFEST_DIGEST]:
        raise InvalidInput("it is damaged: its manifest does not have the SHA-256 that was written behind it")
    try:
        manifest = Manifest.model_validate_json(ends[MANIFEST])
    except ValidationError as error:
        raise InvalidInput(
            f"its manifest is not one that this version reads: {error.errors()[0]['msg']}; was it made by a newer one?"
        ) from error
    told = {folder_of(name): database.part for name, database in manifest.databases.items()}
    if manifest.artifacts is not None:
        told[ARTIFACTS] = manifest.artifacts
    nothing = Digest().section()
    for name in sorted(told.keys() | found.keys()):
        if told.get(name, nothing) != found.get(name, nothing):
            raise InvalidInput(f"it is damaged: {name} does not have the SHA-256 of the manifest")
    return manifest

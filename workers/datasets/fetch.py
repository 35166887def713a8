"""Brings a dataset's official files: `python -m workers.datasets fetch NAME`.

Nothing half-written is ever left: a file is downloaded beside its place, its SHA-256 is checked, and only then is it
moved there in one step.
"""

import hashlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from actinium.datasets.official import OFFICIAL, present
from actinium.datasets.table import DATASETS
from actinium.definitions import did_you_mean
from actinium.errors import InvalidInput, Unavailable
from actinium.names import matching
from workers.datasets.sources import SOURCES, Source

TIMEOUT_SECONDS = 30.0

Progress = Callable[[str, int, int | None], None]
"""Called with (file name, bytes so far, bytes in all or None if unknown)."""


def fetch(
    name: str,
    root: Path,
    *,
    sources: Sequence[Source] | None = None,
    progress: Progress = lambda name, done, total: None,
) -> Path:
    """Download what is missing of a dataset into `root/NAME`; the folder is returned.

    Raises InvalidInput for a name that is not known or bytes that are not the official ones, Unavailable where no
    address answers, with what to do then. `sources` stands in for the published ones.
    """
    name = matching(name, DATASETS) or name
    if name not in DATASETS:
        raise InvalidInput(f"no dataset is called {name[:80]!r}; {did_you_mean(name[:80], list(DATASETS))}")
    folder = root / name
    if present(name, root):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    missing = OFFICIAL[name].missing(root)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        for source in SOURCES[name] if sources is None else sources:
            provided = [file.removesuffix(".gz") for file in source.provides()]
            if not set(provided) & set(missing):
                continue
            archive = _download(name, folder, source, Path(scratch), progress)
            for file in _unpacked(archive, source) if source.unpack else [archive]:
                file.replace(folder / file.name)
    return folder


def _download(name: str, folder: Path, source: Source, scratch: Path, progress: Progress) -> Path:
    failures = []
    for address in source.addresses:
        target = scratch / source.filename()
        try:
            digest = _stream(address, target, progress)
        except httpx.HTTPError as error:
            failures.append(f"{address} ({error or type(error).__name__})")
            continue
        if digest == source.sha256:
            return target
        target.unlink()
        failures.append(f"{address} (SHA-256 {digest} is not the official {source.sha256}; nothing was kept)")
    message = f"{name}: {source.filename()} could not be fetched from " + " nor ".join(failures)
    if all("SHA-256" in failure for failure in failures):
        raise InvalidInput(message)
    raise Unavailable(
        f"{message}. On a machine with a network, download "
        f"{', '.join(item.addresses[0] for item in SOURCES[name])} and put "
        f"{', '.join(file for item in SOURCES[name] for file in item.provides())} into {folder}"
    )


def _stream(address: str, target: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    plain = {"accept-encoding": "identity"}
    with httpx.stream("GET", address, headers=plain, follow_redirects=True, timeout=TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        with target.open("wb") as out:
            for block in response.iter_raw():
                digest.update(block)
                out.write(block)
                progress(target.name, response.num_bytes_downloaded, total)
    return digest.hexdigest()


def _unpacked(archive: Path, source: Source) -> list[Path]:
    """The named members of a .tar.gz as plain files beside it; no path of the archive's is used."""
    files = []
    with tarfile.open(archive) as tar:
        for member, name in zip(source.unpack, source.provides(), strict=True):
            content = tar.extractfile(member)
            assert content is not None, f"{member} is no file in {archive.name}, whose SHA-256 is right"
            target = archive.with_name(name)
            with content, target.open("wb") as out:
                shutil.copyfileobj(content, out)
            files.append(target)
    return files

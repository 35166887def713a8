"""Fetching, against a real server on this machine: what is checked, what is kept, what is said."""

import hashlib
import io
import json
import socket
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from actinium.datasets.official import IDX_NAMES, OFFICIAL
from actinium.errors import InvalidInput, Unavailable
from workers.datasets.__main__ import main
from workers.datasets.fetch import fetch
from workers.datasets.sources import SOURCES, Source


class Quiet(SimpleHTTPRequestHandler):
    """A file server that writes no log."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which its files are served."""
    folder = tmp_path / "published"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def idx_sources(folder: Path, address: str) -> list[Source]:
    """The four files published, and their sources."""
    sources = []
    for name in IDX_NAMES:
        content = name.encode() * 1000
        (folder / f"{name}.gz").write_bytes(content)
        sources.append(Source(addresses=(f"{address}/{name}.gz",), sha256=sha256(content)))
    return sources


def everything_under(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_files_arrive_whole_with_progress(published: tuple[Path, str], tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    folder = fetch("mnist", tmp_path / "data", sources=idx_sources(*published), progress=lambda *p: seen.append(p))
    assert everything_under(folder) == {f"{name}.gz" for name in IDX_NAMES}
    assert (folder / f"{IDX_NAMES[0]}.gz").read_bytes() == IDX_NAMES[0].encode() * 1000
    assert seen[-1] == (f"{IDX_NAMES[3]}.gz", 22000, 22000)
    assert list(folder.iterdir()) == list(folder.glob("*.gz")), "no scratch folder is left"


def test_only_what_is_missing_is_fetched(published: tuple[Path, str], tmp_path: Path) -> None:
    mine = tmp_path / "data" / "mnist" / IDX_NAMES[2]
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    seen: set[str] = set()
    fetch("mnist", tmp_path / "data", sources=idx_sources(*published), progress=lambda name, *_: seen.add(name))
    assert seen == {f"{name}.gz" for name in IDX_NAMES if name != mine.name}
    assert mine.read_bytes() == b"mine"


def test_a_wrong_digest_is_refused_and_nothing_is_kept(published: tuple[Path, str], tmp_path: Path) -> None:
    sources = idx_sources(*published)
    (published[0] / f"{IDX_NAMES[0]}.gz").write_bytes(b"something else")
    with pytest.raises(InvalidInput, match=r"SHA-256 .* is not the official .* nothing was kept"):
        fetch("mnist", tmp_path / "data", sources=sources)
    assert everything_under(tmp_path / "data") == set()


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """A server that promises more than it sends."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf of it")

        thread = Thread(target=answer)
        thread.start()
        source = Source(addresses=(f"http://127.0.0.1:{server.getsockname()[1]}/{IDX_NAMES[0]}.gz",), sha256="0" * 64)
        with pytest.raises(Unavailable):
            fetch("mnist", tmp_path / "data", sources=[source])
        thread.join()
    assert everything_under(tmp_path / "data") == set()


def test_the_next_mirror_is_tried(published: tuple[Path, str], tmp_path: Path) -> None:
    right, wrong, absent = (f"{published[1]}/{place}/{IDX_NAMES[1]}.gz" for place in ("right", "wrong", "absent"))
    for place, content in (("right", b"labels"), ("wrong", b"<html>moved</html>")):
        (published[0] / place).mkdir()
        (published[0] / place / f"{IDX_NAMES[1]}.gz").write_bytes(content)
    source = Source(addresses=(absent, wrong, right), sha256=sha256(b"labels"))
    folder = fetch("mnist", tmp_path / "data", sources=[source])
    assert (folder / f"{IDX_NAMES[1]}.gz").read_bytes() == b"labels"


def test_without_a_network_it_says_what_to_bring_where(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    official = SOURCES["cifar10"][0]
    source = replace(official, addresses=(f"http://127.0.0.1:{free}/cifar-10-binary.tar.gz",))
    with pytest.raises(Unavailable) as caught:
        fetch("cifar10", tmp_path, sources=[source])
    for part in (official.addresses[0], "data_batch_5.bin", str(tmp_path / "cifar10")):
        assert part in str(caught.value)


def test_an_archive_is_unpacked_to_its_named_members_only(published: tuple[Path, str], tmp_path: Path) -> None:
    members = SOURCES["cifar10"][0].unpack
    with tarfile.open(published[0] / "cifar-10-binary.tar.gz", "w:gz") as tar:
        for member in (*members, "../outside", "cifar-10-batches-bin/readme.html"):
            entry = tarfile.TarInfo(member)
            entry.size = len(member)
            tar.addfile(entry, io.BytesIO(member.encode()))
    digest = sha256((published[0] / "cifar-10-binary.tar.gz").read_bytes())
    source = Source(addresses=(f"{published[1]}/cifar-10-binary.tar.gz",), sha256=digest, unpack=members)
    folder = fetch("cifar10", tmp_path / "data", sources=[source])
    assert everything_under(folder) == set(OFFICIAL["cifar10"].names)
    assert (folder / "data_batch_4.bin").read_text() == "cifar-10-batches-bin/data_batch_4.bin"
    assert not (tmp_path / "data" / "outside").exists()


def test_a_dataset_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for name in IDX_NAMES:
        (tmp_path / "mnist" / name).touch()
    assert fetch("mnist", tmp_path, sources=[]) == tmp_path / "mnist"


@pytest.mark.parametrize("name", SOURCES)
def test_every_official_file_has_a_source_with_a_digest(name: str) -> None:
    provided = {file.removesuffix(".gz") for source in SOURCES[name] for file in source.provides()}
    assert provided == set(OFFICIAL[name].names)
    assert all(len(bytes.fromhex(source.sha256)) == 32 for source in SOURCES[name])


def test_the_command_lists_as_a_table_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path), "ls", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["digits"]["present"] and not rows["mnist"]["present"]
    assert rows["cifar10"]["folder"] == str(tmp_path / "cifar10")
    assert main(["--root", str(tmp_path), "ls"]) == 0
    assert "fashion_mnist" in capsys.readouterr().out


def test_the_command_fails_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path), "fetch", "minst"]) == 1
    assert "did you mean mnist" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["--root", str(tmp_path / "file"), "fetch", "mnist"]) == 1
    assert "Not a directory" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["brew"])
    assert caught.value.code == 2

"""A backup's file: whole or not there, and refused when a byte of it is not as it was written."""

import fcntl
import io
import random
import resource
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actinium.errors import InvalidInput, StackError
from services.stack.archive import writer as writing
from services.stack.archive.manifest import MANIFEST, DatabaseManifest, Digest, Manifest
from services.stack.archive.reader import members, verify
from services.stack.archive.writer import Writer, created

ROWS = [f"{number}\tsomebody\n".encode() for number in range(1000)]


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A backup of one table in several pieces, with two artifacts."""
    monkeypatch.setattr(writing, "PIECE_BYTES", 3000)
    root = tmp_path / "artifacts-of-mlflow"
    (root / "1" / "é").mkdir(parents=True)
    (root / "1" / "é" / ("long " * 40)).write_bytes(b"\x00\x01" * 700)
    (root / "plain").write_bytes(b"")
    (root / "link").symlink_to("/etc/passwd")
    file, rows, files = io.BytesIO(), Digest(), Digest()
    writer = Writer(file)
    assert writer.rows("databases/actinium/tokens", iter(ROWS), rows) == 1000
    assert writer.rows("databases/actinium/empty", iter([]), rows) == 0
    writer.artifacts(root, files)
    database = DatabaseManifest(revision="1", server="18", tables=(), rows={}, sequences={}, part=rows.section())
    writer.end(
        Manifest(
            actinium="0",
            mlflow="3",
            created_at=datetime(2026, 3, 1, tzinfo=UTC),
            databases={"actinium": database},
            artifacts=files.section(),
        )
    )
    return file.getvalue()


def content(file: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(member.blocks()) for member in members(io.BytesIO(file))}


def test_what_is_written_is_read(whole: bytes) -> None:
    manifest = verify(io.BytesIO(whole))
    assert manifest.artifacts is not None and manifest.artifacts.members == 2
    found = content(whole)
    pieces = [name for name in found if name.startswith("databases/actinium/tokens/")]
    assert len(pieces) > 3 and pieces == sorted(pieces)
    rows = [b"".join(member.rows()) for member in members(io.BytesIO(whole)) if member.name in pieces]
    assert b"".join(rows) == b"".join(ROWS)
    assert found[f"artifacts/1/é/{'long ' * 40}"] == b"\x00\x01" * 700
    assert "artifacts/link" not in found


def test_any_cut_is_noticed(whole: bytes) -> None:
    end = whole.rindex(b"manifest.json.sha256") + 512
    for length in [0, 1, 511, 512, 513, *range(1000, end, 997), end]:
        with pytest.raises(InvalidInput, match=r"it is damaged, or no backup|it was cut off"):
            verify(io.BytesIO(whole[:length]))


def test_any_changed_byte_is_noticed_or_harmless(whole: bytes) -> None:
    """Harmless: in what fills up blocks, and in the end of the file."""
    meant, noticed, draw = content(whole), 0, random.Random(7)
    for place in [*range(600), *draw.sample(range(len(whole)), 600)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        try:
            verify(io.BytesIO(damaged))
        except InvalidInput:
            noticed += 1
        else:
            assert content(bytes(damaged)) == meant, place
    assert noticed > 600


def foreign(*add: Callable[[tarfile.TarFile], object]) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for one in add:
            one(tar)
    return file


def regular(name: str, data: bytes = b"x") -> Callable[[tarfile.TarFile], object]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return lambda tar: tar.addfile(member, io.BytesIO(data))


def special(name: str, kind: bytes, target: str = "") -> Callable[[tarfile.TarFile], object]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return lambda tar: tar.addfile(member)


@pytest.mark.parametrize(
    "member",
    [
        regular("../escaped"),
        regular("/etc/passwd"),
        regular("artifacts/../../escaped"),
        regular("artifacts//etc/passwd"),
        regular("artifacts/a/./b"),
        regular("artifacts/..\\escaped"),
        regular("artifacts"),
        regular("README.md"),
        regular("databases/actinium/trials; DROP TABLE trials/000000.gz"),
        regular("databases/postgres/trials/000000.gz"),
        special("artifacts/link", tarfile.SYMTYPE, "/etc"),
        special("artifacts/hard", tarfile.LNKTYPE, "/etc/passwd"),
        special("artifacts/folder", tarfile.DIRTYPE),
        special("artifacts/pipe", tarfile.FIFOTYPE),
        special("artifacts/device", tarfile.CHRTYPE),
    ],
)
def test_a_member_that_no_backup_has_is_refused(member: Callable[[tarfile.TarFile], object]) -> None:
    with pytest.raises(InvalidInput, match="it is no backup: no backup has a member"):
        verify(foreign(member))


def test_what_is_no_backup_is_refused(whole: bytes) -> None:
    for wrong in (b"", b"no tar", b"\x1f\x8b" + bytes(2000), zlib.compress(whole)):
        with pytest.raises(InvalidInput, match="it is damaged, or no backup"):
            verify(io.BytesIO(wrong))
    with pytest.raises(InvalidInput, match="its end, the manifest, is missing"):
        verify(foreign(regular("artifacts/x")))
    with pytest.raises(InvalidInput, match=r"'artifacts/x' stands behind the manifest"):
        verify(foreign(regular(MANIFEST), regular("artifacts/x")))
    with pytest.raises(InvalidInput, match="its manifest does not have the SHA-256"):
        verify(foreign(regular(MANIFEST, b"{}"), regular(f"{MANIFEST}.sha256", b"0" * 64)))


def test_rows_that_unpack_to_very_much_come_in_small_blocks() -> None:
    bomb = zlib.compress(bytes(2**26), wbits=31)
    (member,) = members(foreign(regular("databases/actinium/tokens/000000.gz", bomb)))
    assert {len(block) for block in member.rows()} <= {0, 2**20}
    (member,) = members(foreign(regular("databases/actinium/tokens/000000.gz", bomb[:-9])))
    with pytest.raises(InvalidInput, match="it ends too early"):
        list(member.rows())


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    target, draft = tmp_path / "b.tar", tmp_path / ".b.tar.part"
    draft.write_bytes(b"left by one that was killed, and longer than what comes")
    with created(target) as file:
        file.write(b"whole")
        assert not target.exists()
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (b"whole", 0o600)
    with pytest.raises(StackError, match="is there already, and a backup replaces nothing"), created(target):
        pass
    assert target.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [target]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "b.tar"
    with pytest.raises(ZeroDivisionError), created(target) as file:
        file.write(b"half")
        raise ZeroDivisionError
    elsewhere = tmp_path / "nowhere" / "b.tar"
    with pytest.raises(StackError, match=r"tar cannot be written: No such file or directory"), created(elsewhere):
        pass
    assert list(tmp_path.iterdir()) == []
    with (tmp_path / ".b.tar.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StackError, match="another backup is being written"), created(target):
            pass


def test_a_disk_that_is_full_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    writes = (
        "import sys; from pathlib import Path; from services.stack.archive.writer import created\n"
        "with created(Path(sys.argv[1])) as file:\n"
        "    for _ in range(100): file.write(bytes(10_000))\n"
    )

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    done = subprocess.run(
        [sys.executable, "-c", writes, tmp_path / "b.tar"],
        preexec_fn=little_room,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "b.tar cannot be written: File too large; nothing is left of it" in done.stderr
    assert list(tmp_path.iterdir()) == []

"""Documents that speak of files: what they name is there, and the index of decisions has every page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PACKAGES = ("actinium", "workers", "db", "services", "dashboard", "tests")


def named_paths(text: str) -> set[str]:
    """What stands in backticks and is a path from the root: `workers/probes/pack.py`, `dashboard/views/`."""
    words = re.findall(r"`([\w./*]+)`", text)
    return {word for word in words if "/" in word and word.split("/")[0] in PACKAGES}


def test_the_index_lists_every_decision_once() -> None:
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (DECISIONS / "README.md").read_text())
    pages = sorted(page.name for page in DECISIONS.glob("[0-9]*.md"))
    assert sorted(linked) == pages


@pytest.mark.parametrize("page", ["docs/architecture.md"])
def test_what_a_page_names_is_there(page: str) -> None:
    found = named_paths((ROOT / page).read_text())
    assert len(found) > 20, "the page names hardly any file: nothing is tested"
    missing = sorted(path for path in found if not any(ROOT.glob(path.rstrip("/"))))
    assert not missing

"""Both pages in a real Chromium on the running stack: they show the figures that the API gives."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from stack_fixture import RunningStack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PATIENCE = 60_000
"""Milliseconds for a page to show something on a busy machine."""

STUDY = {
    "name": "seen in a browser",
    "project": "pages",
    "description": "A grid that is done in seconds <b>& escaped</b>",
    "model": {"kind": "mlp", "depth": 2, "width": 32},
    "training": {"epochs": 2},
    "factors": {
        "activation": ["relu", "leaky_relu"],
        "normalization": ["none", "batch", "group"],
        "training.batch_size": [4, 64],
    },
    "seeds": 3,
    "reference": {"activation": "relu", "normalization": "none"},
}


@pytest.fixture(scope="module")
def study(stack: RunningStack) -> dict[str, Any]:
    """A finished study as the API gives it, its report under `report`."""
    with stack.client() as client:
        number = client.submit(STUDY)["id"]
        document = client.wait(number)
        assert document["counts"]["states"]["succeeded"] == document["trials"] == 36
        return {**document, "report": client.report(number)}


def opened(page: Page, stack: RunningStack, query: str, *, wait_for: str = "st-key-counts") -> Page:
    page.goto(f"{stack.address.dashboard_url}/{query}")
    expect(page.locator(f".{wait_for}").first).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return page


def rows(page: Page, key: str) -> list[list[str]]:
    """The cells' text of the table in the container of this key."""
    table = page.locator(f".st-key-{key} tbody")
    expect(table.locator("tr").first).to_be_visible(timeout=PATIENCE)
    return [row.locator("td").all_inner_texts() for row in table.locator("tr").all()]


def text(page: Page, key: str) -> str:
    own: Locator = page.locator(f".st-key-{key}")
    expect(own).to_be_visible(timeout=PATIENCE)
    return own.inner_text()


def assert_says(words: str, fraction: float | None, *, within: float) -> None:
    """The text is the fraction in percent, or a dash where there is none."""
    if fraction is None:
        assert words == "–"
    else:
        assert leading(words) == pytest.approx(100 * fraction, abs=within)


def leading(words: str) -> float:
    """The number that a text begins with: `26% (21-30%)` is 26."""
    found = re.match(r"[-+]?[\d,]*\.?\d+", words)
    assert found is not None, words
    return float(found.group().replace(",", ""))


def shown_cells(study: dict[str, Any], batch_size: int = 64) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = study["report"]["cells"]
    return [entry for entry in cells if entry["cell"]["training.batch_size"] == batch_size]


def test_the_history_lists_the_study_and_opens_it(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, "?project=pages", wait_for="st-key-history")
    (row,) = rows(page, "history")
    assert row[:3] == [study["name"], "pages", study["owner"]]
    assert row[4] == "finished"
    assert row[5].strip() == "100%"
    assert row[6] == "36 of 36"
    assert all(f"{n} {word}" in row[7] for word, n in study["counts"]["outcomes"].items() if n)
    page.get_by_role("link", name=study["name"]).click()
    expect(page.get_by_role("heading", name=study["name"])).to_be_visible(timeout=PATIENCE)
    assert f"study={study['id']}" in page.url


def test_the_history_can_be_searched(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, "", wait_for="st-key-history")
    search = page.get_by_label("Search")
    search.fill("no study is called this")
    search.press("Enter")
    expect(page.get_by_text("No study is like that")).to_be_visible()
    search.fill("browser")
    search.press("Enter")
    expect(page.get_by_role("link", name=study["name"])).to_be_visible()


def test_the_overview_answers_the_three_questions(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}")
    for word, count in study["counts"]["outcomes"].items():
        if count:
            assert re.search(rf"{word} {count}(?!\d)", text(page, "counts"))
    report = study["report"]
    most = max(entry["metrics"]["dead_unit_rate"]["estimate"] for entry in report["cells"])
    assert leading(text(page, "figure-dead-units").splitlines()[-1]) == pytest.approx(100 * most, abs=0.51)
    fastest = min(entry["metrics"]["epochs_to_target"]["estimate"] for entry in shown_cells(study))
    assert leading(text(page, "figure-convergence").splitlines()[-1]) == pytest.approx(fastest, rel=0.01)
    (batch,) = [curve for curve in report["small_batch"]["curves"] if curve["normalization"] == "batch"]
    failed = {"activation": "relu", "normalization": "none", "training.batch_size": 4}
    assert failed in report["small_batch"]["left_out"], "its networks stall: nothing is averaged with them"
    (point,) = [point for point in batch["points"] if point["batch_size"] == 4]
    changed = 100 * point["degradation"]["estimate"]
    assert leading(text(page, "figure-small-batches").splitlines()[-1]) == pytest.approx(changed, abs=0.051)
    expect(page.locator(".st-key-completeness .js-plotly-plot")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(4)


def test_text_of_a_study_is_text(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}")
    expect(page.get_by_text(STUDY["description"], exact=True)).to_be_visible()


def test_dead_units_are_those_of_the_report(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}&tab=dead-units", wait_for="st-key-trajectory")
    found = rows(page, "trajectory")
    cells = shown_cells(study)
    assert len(found) == len(cells) == 6
    for row, entry in zip(found, cells, strict=True):
        for words, metric in zip(row[3:], ("dead_unit_rate", "born_dead_rate", "died_rate"), strict=False):
            assert leading(words.lstrip("<")) == pytest.approx(100 * entry["metrics"][metric]["estimate"], abs=0.51)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)


def test_convergence_is_that_of_the_report(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}&tab=convergence", wait_for="st-key-rmst")
    for row, entry in zip(rows(page, "rmst"), shown_cells(study), strict=True):
        assert leading(row[3]) == pytest.approx(entry["metrics"]["epochs_to_target"]["estimate"], rel=0.01)
        assert leading(row[4]) == pytest.approx(entry["metrics"]["steps_to_target"]["estimate"], abs=0.51)
        assert leading(row[6]) == pytest.approx(100 * entry["collapse_rate"]["estimate"], abs=0.51)
        assert row[7] == str(entry["diverged"])
        assert row[8] == "3 of 3"
    expect(page.locator(".js-plotly-plot")).to_have_count(2)


def test_small_batches_are_those_of_the_report(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}&tab=small-batches", wait_for="st-key-degradation")
    found = rows(page, "degradation")
    points = [point for curve in study["report"]["small_batch"]["by_activation"] for point in curve["points"]]
    for row, point in zip(found, points, strict=True):
        assert row[2] == str(point["batch_size"])
        assert_says(row[3], point["error"]["estimate"], within=0.51)
        if point["batch_size"] != 64:
            assert_says(row[4], point["degradation"]["estimate"], within=0.051)
    differences = study["report"]["small_batch"]["difference_in_differences"]
    for row, entry in zip(rows(page, "differences"), differences, strict=True):
        assert_says(row[3], entry["estimate"], within=0.051)


def test_effects_trials_and_config_open(page: Page, stack: RunningStack, study: dict[str, Any]) -> None:
    opened(page, stack, f"?study={study['id']}&tab=effects", wait_for="st-key-contrasts")
    contrasts = [entry for entry in study["report"]["contrasts"] if entry["metric"] == "dead_unit_rate"]
    assert len(rows(page, "contrasts")) == len(contrasts)
    page.get_by_role("tab", name="Trials").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    page.get_by_role("tab", name="Config").click()
    expect(page.locator(".st-key-config")).to_contain_text("seen in a browser")
    expect(page).to_have_url(re.compile(r"tab=config"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as YAML").click()
    assert download.value.suggested_filename == f"{study['name']}.yaml"
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_an_unknown_study_is_said_in_a_sentence(page: Page, stack: RunningStack) -> None:
    opened(page, stack, "?study=987654321", wait_for="st-key-problem")
    expect(page.locator(".st-key-problem")).to_contain_text("There is no such study.")

"""Reports of large studies and the history of a million trials, through the API as a user has them.

python benchmarks/reports.py [REPETITIONS]. A database of its own with a study of 10,560 trials (960 cells), one of
105,600 (9,600 cells) and a thousand others of a thousand trials, twenty of which still run. The API is a process of its
own. The studies take turns; before each request the study's revision rises, as a result would make it rise, so that the
report is computed anew. The same again from the cache, and the first of all (designs not yet read), are printed too.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import httpx
from ground.crowd import copies, finish_most
from ground.server import free_port, ground, medians, migrated, process, say_load, seconds, settle
from ground.studies import BATCH_SIZES, LEARNING_RATES, MORE_LEARNING_RATES, NOW, core, finish
from sqlalchemy import Engine, text

from actinium.job import StudyId
from actinium.study import expand, parse_study
from db import studies

HISTORY, RUNNING = 1000, 20
TOKEN = "benchmark-token"


def history(engine: Engine) -> None:
    """A thousand studies of a thousand trials; the newest twenty still run, half of their trials done."""
    factors = {"activation": ["relu", "elu", "tanh", "gelu"], "training.batch_size": [8, 16, 32, 64, 128]}
    small = expand(parse_study({"name": "past", "factors": factors, "seeds": 50}))
    with engine.begin() as connection:
        first = studies.create(connection, small, owner="ada", now=NOW)
    done = copies(engine, first, count=HISTORY - RUNNING, now=NOW)
    finish_most(engine, done, share=len(small.cells) * 50 + 1, now=NOW)
    with engine.begin() as connection:
        renamed = small.spec.model_copy(update={"name": "present"})
        first = studies.create(connection, expand(renamed), owner="ada", now=NOW)
    finish_most(engine, copies(engine, first, count=RUNNING - 1, now=NOW), share=2, now=NOW)


def touched(engine: Engine, study: StudyId) -> None:
    """The study's revision rises."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE studies SET revision = revision + 1 WHERE id = :id"), {"id": study})


def main(repetitions: int) -> None:
    """One line with the medians."""
    mid = core("ten-thousand", training__learning_rate=LEARNING_RATES)
    large = core("a-hundred-thousand", training__learning_rate=MORE_LEARNING_RATES, training__batch_size=BATCH_SIZES)
    with ground(durable=False) as server, migrated(server, "reports") as engine, tempfile.TemporaryDirectory() as logs:
        history(engine)
        known = {"trials_10k": finish(engine, mid), "trials_100k": finish(engine, large)}
        settle(engine)
        port = free_port()
        settings = {
            "ACTINIUM_DATABASE_URL": server.address("reports"),
            "ACTINIUM_API_PORT": str(port),
            "ACTINIUM_ADMIN_TOKEN": TOKEN,
        }
        address = f"http://127.0.0.1:{port}"
        with (
            process("services.api", ready=f"{address}/readyz", log=Path(logs) / "api.log", **settings),
            httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=300) as http,
        ):
            measure(engine, http, known, repetitions)


def measure(engine: Engine, http: httpx.Client, known: dict[str, StudyId], repetitions: int) -> None:
    """Prints what each answer took."""

    def get(path: str, **params: str) -> httpx.Response:
        return http.get(path, params=params).raise_for_status()

    newest = get("/v1/studies", limit="1").json()["items"][0]["id"]
    pages = {
        "newest": {},
        "half way": {"cursor": str(newest - HISTORY // 2)},
        "running": {"state": "running"},
        "searched": {"q": "past-77"},
    }
    for name, study in known.items():
        taken = seconds(lambda path=f"/v1/studies/{study}/report": get(path))
        answer = get(f"/v1/studies/{study}/report")
        cells = len(answer.json()["cells"])
        print(f"{name}: {cells} cells, {len(answer.content) / 1e6:.1f} MB; the first time of all {taken:.3f} s")
    fresh: dict[str, list[float]] = {name: [] for name in known}
    cached: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(repetitions):
        for name, study in known.items():
            path = f"/v1/studies/{study}/report"
            touched(engine, study)
            fresh[name].append(seconds(lambda path=path: get(path)))
            cached[name].append(seconds(lambda path=path: get(path)))
    found = {name: statistics.median(times) for name, times in fresh.items()}
    for name, times in fresh.items():
        print(
            f"{name}: at a new revision {found[name]:.3f} s (least {min(times):.3f}), "
            f"again {statistics.median(cached[name]):.3f} s"
        )
    listed = medians(
        {name: lambda p=p: get("/v1/studies", **p) for name, p in pages.items()}, repetitions=5 * repetitions
    )
    for name, taken in listed.items():
        print(f"history, {name}: {taken:.4f} s")
    say_load()
    figures = " ".join(f"{name}={taken:.3f}" for name, taken in found.items())
    print(f"bench reports {figures} history_1m={max(listed.values()):.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)

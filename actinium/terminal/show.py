"""Studies, trials and levels as lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actinium.levels import compact_label
from actinium.paths import cell_label


def lines(document: Mapping[str, Any], failed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A study's state, counts, factors, invalid designs, failed trials and addresses, line by line."""
    spec, counts = document["spec"], document["counts"]
    yield f"{document['name']} (study {document['id']}, project {document['project']}) by {document['owner']}"
    if document["description"]:
        yield f"  {document['description']}"
    yield f"  {document['state']}, {100 * document['progress']:.0f}% done, submitted {document['created_at'][:16]}"
    for noun in ("states", "outcomes"):
        yield f"  {noun}: " + (", ".join(f"{count} {key}" for key, count in counts[noun].items() if count) or "none")
    if document["reused"]:
        yield f"  reused: {document['reused']} trials of the same digest, from earlier studies"
    for path, levels in spec["factors"].items():
        yield f"  {path}: " + ", ".join(compact_label(level) for level in levels)
    seeds = spec["seeds"]
    yield f"  seeds: {seeds if isinstance(seeds, int) else ', '.join(map(str, seeds))}"
    for design in document["invalid_designs"]:
        yield f"  left out: {cell_label(design['cell'])}: {design['reason']}"
    for trial in failed:
        last = (trial["error"] or "no message").strip().splitlines()[-1][:200]
        yield f"  failed: trial {trial['id']} ({cell_label(trial['cell'])}, seed {trial['seed']}): {last}"
    for name in ("dashboard", "mlflow", "report"):
        if document["links"].get(name):
            yield f"  {name}: {document['links'][name]}"


def trial_lines(trial: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A trial's cell, seed, state and error, and every change of its state, line by line."""
    yield f"trial {trial['id']} of study {trial['study_id']}: {cell_label(trial['cell'])}, seed {trial['seed']}"
    outcome = f", {trial['outcome']}" if trial["outcome"] else ""
    reused = f", reused from trial {trial['reused_from']}" if trial["reused_from"] else ""
    yield f"  {trial['state']}, attempt {trial['attempt']}{outcome}{reused}"
    for event in events:
        by = f" by {event['who']}" if event["who"] else ""
        why = f": {event['reason']}" if event["reason"] else ""
        cause = event["cause"].replace("_", " ")
        yield f"  {event['at'][:19].replace('T', ' ')}  {event['state']} (attempt {event['attempt']}), {cause}{by}{why}"
    if trial["error"]:
        yield from (f"  | {line}" for line in trial["error"].strip().splitlines())


def parameters(given: Mapping[str, Mapping[str, Any]]) -> str:
    """A level's parameters with their defaults."""
    return ", ".join(f"{name}={parameter['default']}" for name, parameter in given.items())


def number(value: float | None) -> str:
    """Four significant digits, or nothing where there is no number."""
    return "" if value is None else f"{value:.4g}"


def learned(dataset: Mapping[str, Any]) -> str:
    """What of a dataset of the catalogue is learned: `10 classes`, `1 number`, `images`."""
    if dataset["objective"] == "reconstruction":
        return "images"
    count = dataset["classes"] or dataset["targets"]
    return f"{count} classes" if dataset["classes"] else f"{count} number{'s' * (count != 1)}"

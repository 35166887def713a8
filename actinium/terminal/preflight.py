"""How the command line shows a preflight: what a study's networks do before they are trained."""

from typing import Any

from actinium.paths import cell_label
from actinium.terminal import output as terminal


def show_preflight(answer: dict[str, Any]) -> None:
    """Prints the preflight of a dry run: a row for each cell, then the warnings."""
    found, missing = answer.get("preflight", []), answer.get("preflight_missing")
    if not found:
        if missing:
            terminal.say(f"untrained networks were not looked at: {missing}")
        return

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.3g}"

    recurrent = any(row.get("time_factor") is not None for row in found)
    through_time = ("backward a time step",) if recurrent else ()
    numbers = ("forward a layer", "backward a layer", *through_time, "born dead", "memory")
    terminal.show_table(
        ("cell before training", *numbers),
        [
            (
                cell_label(row["cell"]) or "the only cell",
                number(row["forward_factor"]),
                number(row["backward_factor"]),
                *(number(row.get("time_factor")) for _ in through_time),
                terminal.percent(row["born_dead_rate"]),
                f"{row['memory_bytes'] / 2**20:.1f} MiB",
            )
            for row in found
        ],
        numbers=numbers,
    )
    for row in found:
        for warning in row["warnings"]:
            terminal.say(f"  {cell_label(row['cell']) or 'the only cell'}: {warning}")
    if len(found) < answer["cells"]:
        why = f": {missing}" if missing else ""
        terminal.say(f"  {answer['cells'] - len(found)} more cells were not looked at{why}")

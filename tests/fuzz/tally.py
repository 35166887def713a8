"""What a fuzz has found."""

from collections import Counter
from dataclasses import dataclass, field

MOST_SHOWN = 20


@dataclass
class Tally:
    """Cases tried, and what went wrong: `server_errors` are answers from 500 on, or none; `wrong` any other answer that
    is not right; `faults` are documents that were judged wrongly. Each kind of fault is told once.
    """

    cases: int = 0
    server_errors: int = 0
    wrong_status: int = 0
    faults: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    told: dict[str, str] = field(default_factory=dict)

    def answered(self, status: int) -> None:
        """One more case."""
        self.cases += 1
        self.statuses[status] += 1
        self.server_errors += status >= 500

    def tell(self, kind: str, what: str) -> None:
        """Keeps the shortest example of a kind of fault."""
        if kind not in self.told or len(what) < len(self.told[kind]):
            self.told[kind] = what[:3000]

    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.server_errors or self.wrong_status or self.faults)

    def report(self) -> str:
        """The faults, each kind by its shortest example."""
        listed = list(self.told.items())[:MOST_SHOWN]
        return "\n\n".join(f"{kind}\n{what}" for kind, what in listed)

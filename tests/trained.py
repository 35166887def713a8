"""What a pack measures from its beginning to its end, lane by lane."""

from collections.abc import Sequence

import numpy as np

from actinium.frame import LaneFinished, PackFrames, TrialSummary
from actinium.trial import TrialConfig
from workers.training.train import train_pack


def trained(configs: Sequence[TrialConfig]) -> tuple[list[np.ndarray], list[TrialSummary]]:
    """Each lane's frames [points, S] and summary. Each lane comes to its end once."""
    frames: list[list[np.ndarray]] = [[] for _ in configs]
    summaries: dict[int, TrialSummary] = {}
    for event in train_pack(configs):
        if isinstance(event, PackFrames):
            for lane, row in zip(event.lanes, event.values, strict=True):
                frames[lane].append(row)
        elif isinstance(event, LaneFinished):
            assert event.lane not in summaries
            summaries[event.lane] = event.summary
    assert len(summaries) == len(configs)
    return [np.stack(rows) for rows in frames], [summaries[lane] for lane in range(len(configs))]

"""What becomes of units: hand-made sequences, and any sequence against a slow reading of the definitions."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.probes.trajectory import classify

FATES = ("born_dead_rate", "died_rate", "transient_rate", "revived_rate")
STEPS = [0, 1, 2, 5, 10, 20, 50, 79, 80, 100]
SEQUENCES = {
    # dead at each of STEPS: the last two are the last 20% of the steps
    "0000000000": set(),
    "1111111111": {"born_dead_rate"},
    "1111111100": {"born_dead_rate", "revived_rate"},
    "1000000000": {"born_dead_rate", "revived_rate"},
    "1000000001": {"born_dead_rate"},
    "1111110111": {"born_dead_rate"},
    "0111111111": {"died_rate"},
    "0000000011": {"died_rate"},
    "0101010011": {"died_rate"},
    "0000000001": set(),
    "0010000000": {"transient_rate"},
    "0000000010": {"transient_rate"},
    "0001111100": {"transient_rate"},
    "0001000001": {"transient_rate"},
}


def as_tensor(sequences: list[str]) -> torch.Tensor:
    """[T, 1, U] of strings of T digits."""
    return torch.tensor([[int(flag) for flag in sequence] for sequence in sequences]).T.bool().unsqueeze(1)


def fates(dead: torch.Tensor, steps: list[int]) -> list[set[str]]:
    """The names that hold for each unit of the first lane."""
    flags = classify(dead, steps)
    assert tuple(flags) == FATES
    return [{name for name in FATES if flags[name][0, unit]} for unit in range(dead.shape[2])]


def test_hand_made_sequences() -> None:
    assert fates(as_tensor(list(SEQUENCES)), STEPS) == list(SEQUENCES.values())


def test_a_trial_that_ended_at_its_first_frame_can_only_be_born_dead() -> None:
    assert fates(as_tensor(["0", "1"]), [0]) == [set(), {"born_dead_rate"}]


def test_the_last_fifth_includes_its_first_step_exactly() -> None:
    assert fates(as_tensor(["0011", "0001"]), [0, 27, 28, 35]) == [{"died_rate"}, set()]
    assert fates(as_tensor(["0101"]), [0, 28, 29, 35]) == [{"transient_rate"}]


def test_lanes_are_kept_apart() -> None:
    dead = torch.tensor([[[1, 0], [0, 0]], [[1, 0], [1, 1]]]).bool()
    flags = classify(dead, [0, 10])
    assert flags["born_dead_rate"].tolist() == [[True, False], [False, False]]
    assert flags["died_rate"].tolist() == [[False, False], [True, True]]


@settings(deadline=None)
@given(
    steps=st.lists(st.integers(1, 1000), min_size=0, max_size=12, unique=True).map(lambda more: [0, *sorted(more)]),
    data=st.data(),
)
def test_any_sequence_is_what_the_definitions_say(steps: list[int], data: st.DataObject) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    settled = [flag for flag, step in zip(flags, steps, strict=True) if step * 10 >= steps[-1] * 8]
    alive_after_dead = any(flags[i] and not flags[j] for i in range(len(flags)) for j in range(i + 1, len(flags)))
    wanted = set()
    if flags[0]:
        wanted.add("born_dead_rate")
        if not flags[-1]:
            wanted.add("revived_rate")
    elif all(settled):
        wanted.add("died_rate")
    elif alive_after_dead:
        wanted.add("transient_rate")
    assert fates(torch.tensor(flags).view(-1, 1, 1), steps) == [wanted]

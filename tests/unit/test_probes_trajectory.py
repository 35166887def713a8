"""What becomes of units: hand-made sequences, and any sequence against a slow reading of the definitions."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.probes.trajectory import classify, settled_frames

FATES = ("born_dead_rate", "died_rate", "dead_at_end_rate", "transient_rate", "revived_rate")
STEPS = [0, 1, 2, 5, 10, 20, 50, 79, 80, 84, 88, 92, 96, 100]
SEQUENCES = {
    # dead at each of STEPS: the last five are those of the last fifth of the steps, which begins behind 80
    "00000000000000": set(),
    "11111111111111": {"born_dead_rate"},
    "11111111111110": {"born_dead_rate", "revived_rate"},
    "10000000000000": {"born_dead_rate", "revived_rate"},
    "10000000000001": {"born_dead_rate"},
    "11111101111111": {"born_dead_rate"},
    "01111111111111": {"died_rate", "dead_at_end_rate"},
    "00000000011111": {"died_rate", "dead_at_end_rate"},
    "01010100011111": {"died_rate", "dead_at_end_rate"},
    "00000000101111": {"transient_rate", "dead_at_end_rate"},
    "00000000001111": {"dead_at_end_rate"},
    "00000000000001": {"dead_at_end_rate"},
    "00000000011011": {"transient_rate", "dead_at_end_rate"},
    "00100000000000": {"transient_rate"},
    "00000000000010": {"transient_rate"},
    "00011111111110": {"transient_rate"},
    "00010000000001": {"transient_rate", "dead_at_end_rate"},
}


def as_tensor(sequences: list[str]) -> torch.Tensor:
    """[T, 1, U] of strings of T digits."""
    return torch.tensor([[int(flag) for flag in sequence] for sequence in sequences]).T.bool().unsqueeze(1)


def fates(dead: torch.Tensor, steps: list[int]) -> list[set[str]]:
    """The names that hold for each unit of the first lane; with a question mark those that cannot be known."""
    shares = classify(dead, steps)
    assert tuple(shares) == FATES
    marks = {1.0: "", 0.0: None}
    found = []
    for unit in range(dead.shape[2]):
        of_unit = {name: marks.get(float(shares[name][0, unit]), "?") for name in FATES}
        found.append({f"{name}{mark}" for name, mark in of_unit.items() if mark is not None})
    return found


def test_hand_made_sequences() -> None:
    assert fates(as_tensor(list(SEQUENCES)), STEPS) == list(SEQUENCES.values())
    assert settled_frames(STEPS) == 5


def test_a_trial_that_ended_at_its_first_frame_can_only_be_born_dead() -> None:
    assert fates(as_tensor(["0", "1"]), [0]) == [set(), {"born_dead_rate"}]
    assert settled_frames([0]) == 1


def test_the_last_fifth_begins_behind_its_first_point() -> None:
    """Of 25 steps the last fifth are 21 to 25, whatever was at 20."""
    steps = [0, 20, 21, 22, 23, 24, 25]
    assert fates(as_tensor(["0011111", "0111111"]), steps) == [{"died_rate", "dead_at_end_rate"}] * 2
    assert fates(as_tensor(["0101111"]), steps) == [{"transient_rate", "dead_at_end_rate"}]
    assert settled_frames(steps) == 5


def test_one_frame_says_that_a_unit_is_dead_at_the_end_not_that_it_died() -> None:
    """Fewer than five frames in the last fifth, though it has as many steps: nothing is said of staying dead."""
    steps = [0, 50, 100, 170, 180, 190, 200]
    unknown = {"died_rate?", "transient_rate?"}
    assert settled_frames(steps) == 4
    assert fates(as_tensor(["0000111", "0100000", "1110000"]), steps) == [
        {"dead_at_end_rate", *unknown},
        unknown,
        {"born_dead_rate", "revived_rate", *unknown},
    ]


def test_a_training_of_fewer_than_five_steps_in_its_last_fifth_has_all_of_them() -> None:
    steps = [0, 2, 4, 9, 10]
    assert settled_frames(steps) == 2
    assert fates(as_tensor(["00011", "00010"]), steps) == [{"died_rate", "dead_at_end_rate"}, {"transient_rate"}]


def test_lanes_are_kept_apart() -> None:
    dead = torch.tensor([[[1, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [1, 1]]]).bool()
    shares = classify(dead, [0, 1, 2])
    assert shares["born_dead_rate"].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert shares["died_rate"].tolist() == shares["dead_at_end_rate"].tolist() == [[0.0, 0.0], [1.0, 1.0]]


@settings(deadline=None)
@given(
    steps=st.lists(st.integers(1, 100), min_size=0, max_size=30, unique=True).map(lambda more: [0, *sorted(more)]),
    data=st.data(),
)
def test_any_sequence_is_what_the_definitions_say(steps: list[int], data: st.DataObject) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    last = steps[-1]
    of_end = [flag for flag, step in zip(flags, steps, strict=True) if step * 5 > last * 4] or flags[-1:]
    steps_of_end = sum(step * 5 > last * 4 for step in range(last + 1))
    known = len(of_end) >= min(5, steps_of_end)
    alive_after_dead = any(flags[i] and not flags[j] for i in range(len(flags)) for j in range(i + 1, len(flags)))
    wanted = set() if known else {"died_rate?", "transient_rate?"}
    if flags[0]:
        wanted.add("born_dead_rate")
        if not flags[-1]:
            wanted.add("revived_rate")
    else:
        if flags[-1]:
            wanted.add("dead_at_end_rate")
        if known and all(of_end):
            wanted.add("died_rate")
        elif known and alive_after_dead:
            wanted.add("transient_rate")
    assert fates(torch.tensor(flags).view(-1, 1, 1), steps) == [wanted]
    assert settled_frames(steps) == len(of_end)

"""The digests of the demo's trials, the same on every machine; and what `golden_demo --compare` finds."""

from golden_demo import EVERY_PROBE, Golden, demo, differences, digest

from actinium.probes import Probes
from actinium.study import expand, parse_study

ALL = "46700b0f7e25af328457d0366daf73925b7463f546e546e41d8410d4dbeb18b8"
FIRST = "766bcf65270e8663df365df4ca2818183f9e77ba52d0db1b5eec7725d08a7e44"


def test_the_demos_trials_have_the_digests_of_this_version_of_their_meaning() -> None:
    """They were others under SPEC_VERSION 1, when trials were decided at the points of the probes' schedule. A digest
    that changes trains anew what was trained, and finds no checkpoint and no twin of it any more. These are the factors
    that the demo had when they were written down.
    """
    factors = {
        "activation": ["relu", "leaky_relu", "elu"],
        "normalization": ["none", "batch", "group"],
        "training.batch_size": [2, 8, 64],
    }
    before = demo(6).spec.model_copy(update={"factors": factors, "questions": None})
    digests = [config.digest() for _, config in expand(before).trials()]
    assert len(set(digests)) == 27 * 6
    assert digests[0] == FIRST
    assert digest(digests) == ALL


def test_every_probe_is_in_the_study_with_every_probe() -> None:
    (probes,) = {config.probes for _, config in expand(parse_study(EVERY_PROBE)).trials()}
    assert [name for name in Probes.model_fields if getattr(probes, name) is None] == []


def test_a_study_comes_to_the_same_digests_twice_and_to_others_with_another_learning_rate() -> None:
    small = {
        "name": "small",
        "task": {"train_examples": 64},
        "model": {"kind": "mlp", "depth": 1, "width": 4},
        "training": {"epochs": 1, "batch_size": 32},
        "factors": {"activation": ["relu", "tanh"]},
        "probes": {"schedule": {"points": 3}},
        "seeds": 2,
    }
    found = []
    for rate in (0.1, 0.1, 0.1001):
        golden = Golden(expand(parse_study({**small, "training": {**small["training"], "learning_rate": rate}})))
        golden.train()
        found.append(golden.document())
    once, again, changed = found
    assert differences(once, again) == []
    told = differences(once, changed)
    assert {"differs: configs", "differs: frames / evaluation_loss", "differs: summaries"} <= set(told)
    assert "differs: frames / lanes and steps" not in told and "differs: trials" not in told
    assert differences({"a": {"b": 1}}, {"a": {"c": 1}}) == ["gone: a / b", "new: a / c"]

"""Actors are warm before their first pack, and who hires them never loads torch."""

import json
import subprocess
import sys

import pytest

WARM = """
import json, sys
from unittest import mock
import ray
from actinium.trial import Mlp, Task, Training, TrialConfig
from workers.actor import PackTrainer
from workers.stream import PackFailed

trainer = PackTrainer()
before = set(sys.modules)
task, training = Task(train_examples=64), Training(epochs=1, batch_size=32)
documents = [
    TrialConfig(task=task, training=training, model=Mlp(depth=1, width=4), normalization=level).model_dump(mode="json")
    for level in ("none", "batch")
]
with mock.patch.object(ray, "get_runtime_context") as context:
    context.return_value.is_canceled.return_value = False
    events = list(trainer.train(documents))
assert not any(isinstance(event, PackFailed) for event in events), events[-1]
print(json.dumps(["torch" in before, len(events), sorted(set(sys.modules) - before)]))
"""
DISPATCHER = """
import sys
import services.dispatcher.__main__, services.dispatcher.ray_fleet
print("torch" in sys.modules)
"""


def run(program: str) -> str:
    """What a process of its own prints."""
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_the_first_pack_imports_nothing_that_takes_time() -> None:
    warm, events, imported = json.loads(run(WARM))
    assert warm and events > 4
    assert [name for name in imported if not name.startswith("encodings.")] == []


@pytest.mark.slow
def test_the_dispatcher_never_loads_torch() -> None:
    assert run(DISPATCHER).strip() == "False"

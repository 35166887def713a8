"""The same grid through Ray Tune with its MLflow callback, a trial a core.

python benchmarks/rivals/ray_tune.py STORE FOLDER. Starts Ray, prints `ready`, waits for a line, runs, prints `done`.
"""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import mlflow
import ray
from plain import GRID
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback


def trainable(config: dict[str, object]) -> None:
    """One trial, in a worker process of Ray's."""
    import torch
    from plain import train

    torch.set_num_threads(1)
    train(config["trial"], lambda metrics, epoch: tune.report(metrics))


def main(store: str, folder: str) -> None:
    """All trials."""
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment("ray-tune")
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parents[1])])
    ray.init(include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={"trial": tune.grid_search(GRID)},
        run_config=tune.RunConfig(
            storage_path=folder,
            verbose=0,
            callbacks=[MLflowLoggerCallback(tracking_uri=store, experiment_name="ray-tune")],
        ),
    )
    print("ready", flush=True)
    sys.stdin.readline()
    results = tuner.fit()
    assert len(results) == len(GRID) and not results.errors
    print("done", flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

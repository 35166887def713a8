"""The hand-written script: its share of the grid, one trial after the other, every epoch logged to MLflow.

python benchmarks/rivals/script.py STORE SHARE SHARES. Prints `ready`, waits for a line, trains every SHARES-th trial
from the SHARE-th on, and prints `done`.
"""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import mlflow
import torch
from plain import GRID, train


def main(store: str, share: int, shares: int) -> None:
    """This process's trials."""
    torch.set_num_threads(1)
    mlflow.set_tracking_uri(store)
    mlflow.set_experiment("script")
    print("ready", flush=True)
    sys.stdin.readline()
    for config in GRID[share::shares]:
        with mlflow.start_run():
            mlflow.log_params(config)
            train(config, lambda metrics, epoch: mlflow.log_metrics(metrics, step=epoch))
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

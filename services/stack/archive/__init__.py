"""The file of a backup: a tar of sections in a fixed order, and a manifest with the SHA-256 of each.

    databases/actinium/TABLE/000000.gz ...    rows as COPY's text, in pieces; the tables in order of reference
    databases/mlflow/TABLE/000000.gz ...      MLflow's store
    artifacts/PATH ...                        MLflow's artifacts
    manifest.json, manifest.json.sha256       last: a file that was cut off has none

A section's SHA-256 goes over names, sizes and contents of its members in their order. Writer and reader hold no more
than a piece in memory.
"""

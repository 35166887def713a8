# One image for every Actinium service; docker-compose.yml gives each its command. By digest the base is always the same:
# --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# Where pip looks beside its usual index (a folder or an address of wheels, for CPU builds of torch, say).
ARG PIP_FIND_LINKS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=1

WORKDIR /opt/actinium
COPY pyproject.toml constraints.txt README.md LICENSE ./
# Dependencies are a layer of their own: a change of the code does not install them again.
RUN python3 -m venv /opt/venv \
 && for package in actinium db workers services dashboard; do mkdir -p $package && touch $package/__init__.py; done \
 && PIP_FIND_LINKS="$PIP_FIND_LINKS" /opt/venv/bin/pip install --quiet --constraint constraints.txt .
ENV PATH=/opt/venv/bin:$PATH
COPY . .
RUN pip install --quiet --no-deps --no-build-isolation --editable . || pip install --quiet --no-deps --editable .

RUN useradd --create-home --uid 10001 actinium \
 && folders="/var/lib/actinium /data /checkpoints /run/ray-auth" && mkdir -p $folders && chown actinium $folders
USER actinium
ENV ACTINIUM_HOME=/var/lib/actinium ACTINIUM_DATA=/data

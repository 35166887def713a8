"""Ports, tokens and folders are decided before anything is started, and refused in a sentence."""

import json
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from actinium.errors import StackError
from services.settings import Settings
from services.stack import ports
from services.stack.parts import PARTS, environment, mlflow_command
from services.stack.plan import RAY_SOCKET_ROOM, make_plan


def settings(home: Path, **fields: object) -> Settings:
    """Settings with any free ports, whatever the environment says."""
    free = {"api_port": 0, "dashboard_port": 0, "mlflow_port": 0, "ray_port": 0}
    unset = {"database_url": None, "ray_address": None, "mlflow_url": None, "admin_token": None, "viewer_token": None}
    return Settings.model_validate({"home": home, **free, **unset, "url": None, "data": None, **fields})


def test_ports_of_zero_become_distinct_free_ports(tmp_path: Path) -> None:
    plan = make_plan(settings(tmp_path), home=tmp_path)
    chosen = plan.settings
    numbers = [chosen.api_port, chosen.dashboard_port, chosen.mlflow_port, chosen.ray_port, plan.ray_client_port]
    assert len(set(numbers)) == 5
    assert all(ports.is_free(number) for number in numbers)
    assert plan.url == f"http://127.0.0.1:{chosen.api_port}"


def test_a_taken_port_is_refused_with_its_variable(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {number} \(MLflow\) is taken; set ACTINIUM_MLFLOW_PORT"):
            make_plan(settings(tmp_path, mlflow_port=number), home=tmp_path)


def test_one_port_for_two_parts_is_refused(tmp_path: Path) -> None:
    number = ports.any_free()
    with pytest.raises(StackError, match="the dashboard"):
        make_plan(settings(tmp_path, api_port=number, dashboard_port=number), home=tmp_path)


def test_tokens_are_kept_from_start_to_start_and_closed_to_others(tmp_path: Path) -> None:
    first = make_plan(settings(tmp_path), home=tmp_path)
    second = make_plan(settings(tmp_path), home=tmp_path)
    assert (first.admin_token, first.viewer_token) == (second.admin_token, second.viewer_token)
    assert first.admin_token != first.viewer_token
    assert first.instance != second.instance
    assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600


def test_a_token_of_the_settings_goes_before_the_kept_one(tmp_path: Path) -> None:
    make_plan(settings(tmp_path), home=tmp_path)
    plan = make_plan(settings(tmp_path, admin_token="act_given"), home=tmp_path)
    assert plan.admin_token == "act_given"
    assert json.loads((tmp_path / "tokens.json").read_text())["admin"] == "act_given"


def test_what_is_elsewhere_is_not_started_here(tmp_path: Path) -> None:
    elsewhere = settings(
        tmp_path,
        database_url="postgresql://user:hunter2@db.example/actinium?sslmode=require",
        ray_address="10.0.0.1:6379",
        mlflow_url="http://mlflow.example",
    )
    plan = make_plan(elsewhere, home=tmp_path)
    assert {part.name for part in PARTS if part.wanted(plan)} == {"api", "dispatcher", "sink", "dashboard"}
    assert not plan.own_database
    assert plan.mlflow_store == "postgresql+psycopg://user:hunter2@db.example/mlflow?sslmode=require"


def test_no_secret_stands_in_an_argument(tmp_path: Path) -> None:
    plan = make_plan(settings(tmp_path, database_url="postgresql://user:hunter2@db.example/actinium"), home=tmp_path)
    for part in PARTS:
        words = " ".join(part.command(plan).arguments)
        assert "hunter2" not in words and plan.admin_token not in words and plan.viewer_token not in words
    assert "hunter2" in mlflow_command(plan).environment["MLFLOW_BACKEND_STORE_URI"]


def test_only_the_api_and_the_dashboard_are_given_tokens(tmp_path: Path) -> None:
    plan = make_plan(settings(tmp_path, database_url="postgresql://db.example/actinium"), home=tmp_path)
    told = {part.name: set(part.command(plan).environment.values()) for part in PARTS}
    assert {name for name, values in told.items() if plan.admin_token in values} == {"api"}
    assert {name for name, values in told.items() if plan.viewer_token in values} == {"api", "dashboard"}
    assert not environment(plan, "sink")["ACTINIUM_TOKEN"]


def test_ray_finds_room_for_its_sockets(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * RAY_SOCKET_ROOM)
    deep.mkdir()
    plan = make_plan(settings(deep), home=deep)
    assert not plan.ray_folder.is_relative_to(deep)
    assert len(str(plan.ray_folder)) <= RAY_SOCKET_ROOM + 2


def test_the_dashboard_may_be_started_without_a_token(tmp_path: Path) -> None:
    """Then it asks whoever opens it."""
    plan = make_plan(settings(tmp_path, dashboard_sign_in=True), home=tmp_path)
    (part,) = (part for part in PARTS if part.name == "dashboard")
    told = part.command(plan).environment
    assert told["ACTINIUM_TOKEN"] == "" and plan.viewer_token not in told.values()

"""The OpenAPI document: whole, and without a word on what cannot be."""

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from actinium.measurements import Measurement
from actinium.report import Report
from db.engine import make_engine
from services.api.app import create_app
from services.api.openapi import REASONS, operations
from services.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """What /openapi.json gives; no database is asked for it."""
    engine = make_engine("postgresql://nobody@127.0.0.1:1/none")
    return create_app(Settings(), engine=engine).openapi()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """`#/a/b` is a path of this document."""
    found = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.extend([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)
    assert found
    for reference in set(found):
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_every_operation_says_its_errors_in_one_shape(document: dict[str, Any]) -> None:
    """problem+json for each; 401 and the like where there is a token to ask for, 404 where something is named, 413 and
    415 where there is a body, and an answer that has a type.
    """
    for method, path, operation in operations(document):
        answers = operation["responses"]
        errors = {int(status) for status in answers if status[0] in "45"}
        assert errors <= set(REASONS), (method, path)
        for status in errors:
            assert list(answers[str(status)]["content"]) == ["application/problem+json"]
        assert ({401, 429} <= errors) == path.startswith("/v1")
        assert (403 in errors) == (method != "GET" or "token" in path or "audit" in path)
        assert (404 in errors) == ("{" in path)
        assert ({408, 413, 415} <= errors) == ("requestBody" in operation)
        successes = [answer for status, answer in answers.items() if status[0] == "2"]
        assert (successes and all(answer.get("content") for answer in successes)) or method == "DELETE"


def test_what_is_made_links_to_what_can_be_done_with_it(document: dict[str, Any]) -> None:
    """From the study to all that takes a study, from its trials to the trial, from a token to its revocation."""
    made = document["paths"]["/v1/studies"]["post"]["responses"]["201"]["links"]
    assert len(made) == sum("{study}" in path for _, path, _ in operations(document))
    assert document["paths"]["/v1/tokens"]["post"]["responses"]["201"]["links"]["delete /v1/tokens/{token_id}"]
    assert document["paths"]["/v1/studies/{study}/trials"]["get"]["responses"]["200"]["links"]


def test_asking_twice_gives_the_same(document: dict[str, Any]) -> None:
    """The document is kept, and completed once."""
    app = create_app(Settings(), engine=make_engine("postgresql://nobody@127.0.0.1:1/none"))
    assert app.openapi() == document
    assert app.openapi() is app.openapi()


def test_every_field_of_the_report_is_described(document: dict[str, Any]) -> None:
    """The answer of the report's route is the structure that statistics make, down to the last field, in one sentence
    each; nothing but what may be left out is optional.
    """
    schemas = document["components"]["schemas"]
    answer = document["paths"]["/v1/studies/{study}/report"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Report"}
    assert list(schemas["Report"]["properties"]) == [field.name for field in fields(Report)]
    names, waiting = set[str](), ["Report"]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting += re.findall(r"#/components/schemas/(\w+)", json.dumps(schemas[name]["properties"]))
    assert {"Interval", "Contrast", "FactorEffect", "DegradationPoint", "SurvivalCurve", "MetricWords"} <= names
    for name in names:
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description", "").endswith("."), f"{name}.{field} is not described"
        optional = set(schemas[name]["properties"]) - set(schemas[name]["required"])
        assert optional == ({"zero_event_bound"} if name == "Interval" else set())


def test_metrics_of_the_catalogue_are_described_field_by_field(document: dict[str, Any]) -> None:
    """What the table of measurements says of an entry, and its name."""
    answer = document["paths"]["/v1/catalogue"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    catalogue = document["components"]["schemas"][answer["$ref"].rsplit("/", 1)[-1]]
    entry = document["components"]["schemas"][catalogue["properties"]["metrics"]["items"]["$ref"].rsplit("/", 1)[-1]]
    assert set(entry["properties"]) == {"name", *(field.name for field in fields(Measurement))}
    assert set(entry["properties"]) == set(entry["required"])
    assert entry["properties"]["kind"]["enum"] == ["event", "share", "quantity"]

"""What the OpenAPI document says of bodies, errors and links, which the routes read and write themselves."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from actinium.job import Role
from services.api.access import ACCESS


class FaultDocument(BaseModel):
    """One fault in a request: where, and what would have been accepted."""

    path: str
    message: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FaultDocument]
    request_id: str | None
    study_ids: list[int] = []
    """Of a conflict: the studies that are in the way."""


REASONS = {
    401: "No token, or one that is not known",
    403: "The token's role is too weak, or the study is somebody else's",
    404: "The thing named is not there",
    408: "The body did not arrive in time",
    409: "A taken or ambiguous name, or a state that does not allow it",
    413: "The body is too large",
    415: "The body's Content-Type is none that the route reads",
    421: "The Host header is none of the service's names",
    422: "Something in the content is wrong",
    429: "Too many requests, too many at once, or too much in the queue",
    500: "A fault of the service; its log has the request's id",
    503: "The database is away, or the service is full or not ready",
}
NAMED = {
    ("POST", "/v1/studies"),
    ("POST", "/v1/datasets"),
    ("POST", "/v1/tokens"),
    ("DELETE", "/v1/tokens/{token_id}"),
    ("DELETE", "/v1/datasets/{name}"),
}
"""Routes without a study in their path that a name or a state may forbid."""
PROMISED = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
"""Headers that always come with a status."""
LINKS = {
    "study": ("POST", "/v1/studies", "201", "$response.body#/id"),
    "trial": ("GET", "/v1/studies/{study}/trials", "200", "$response.body#/items/0/id"),
    "token_id": ("POST", "/v1/tokens", "201", "$response.body#/id"),
}
"""By path parameter: the operation and the place in its answer where an id for that parameter is found."""


def install(app: FastAPI) -> None:
    """Completes the app's OpenAPI document: every status with its headers, and links between operations."""
    generated = app.openapi

    def whole() -> dict[str, Any]:
        document = generated()  # kept by the app, so that it is completed once
        return document if Problem.__name__ in document["components"]["schemas"] else completed(document)

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way of extending the document


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with every problem that each operation can answer with, and links between operations; in place."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own shape of a 422, which nothing answers
        schemas.pop(name, None)
    template = "#/components/schemas/{model}"
    for model in (Problem, FaultDocument):
        schemas[model.__name__] = model.model_json_schema(ref_template=template)
        schemas[model.__name__].pop("$defs", None)
    for method, path, operation in operations(document):
        responses = operation["responses"]
        responses.pop("422", None)
        responses |= {str(status): _problem(status) for status in problems(method, path, operation)}
        operation["responses"] = dict(sorted(responses.items()))
    for parameter, (method, path, status, source) in LINKS.items():
        answer = document["paths"][path][method.lower()]["responses"][status]
        answer["links"] = {
            f"{verb.lower()} {target}": {"operationId": other["operationId"], "parameters": {parameter: source}}
            for verb, target, other in operations(document)
            if f"{{{parameter}}}" in target
        }
    return document


def problems(method: str, path: str, operation: dict[str, Any]) -> set[int]:
    """The errors that an operation can answer with."""
    role = ACCESS[method, path].role
    found = {421, 500} if path == "/healthz" else {421, 429, 500, 503}
    if role is not None:
        found |= {401, 422} if role is Role.VIEWER else {401, 403, 422}
    if "{" in path:
        found.add(404)
    if "{study}" in path or (method, path) in NAMED:
        found.add(409)
    if "requestBody" in operation:
        found |= {408, 413, 415}
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation, each of them."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": REASONS[status],
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in PROMISED:
        answer["headers"] = {PROMISED[status]: {"required": True, "schema": {"type": "string"}}}
    return answer


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """A JSON body of this model, for a route that reads its body itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/" + model.__name__ + "/$defs/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _inlined(schema, model)}}}}


def _inlined(schema: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The schema with its definitions in place of references to them; the documents have no cycles."""
    definitions = schema.pop("$defs", {})
    prefix = f"#/components/schemas/{model.__name__}/$defs/"

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                own = {key: value for key, value in node.items() if key != "$ref"}
                return resolved({**definitions[reference.removeprefix(prefix)], **own})
            return {key: resolved(value) for key, value in node.items() if key != "discriminator"}
        return [resolved(item) for item in node] if isinstance(node, list) else node

    inlined: dict[str, Any] = resolved(schema)
    return inlined

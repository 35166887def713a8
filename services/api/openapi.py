"""What the OpenAPI document says of bodies and errors, which the routes read and write themselves."""

from typing import Any

from pydantic import BaseModel


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


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, description in (
        (401, "No token, or one that is not known"),
        (403, "The token's role is too weak, or the study is somebody else's"),
        (404, "The thing named is not there"),
        (409, "A taken name, or a state that does not allow it"),
        (422, "Something in the content is wrong"),
    )
}


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

"""Unknown query parameters are refused: with a misspelt `dry_run` a study would otherwise be submitted."""

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from actinium.errors import FieldError, InvalidInput
from actinium.levels import did_you_mean


def known_parameters(request: Request) -> None:
    """InvalidInput that names every query parameter which the request's route does not take."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = _taken(route)
    faults = [_fault(name, known) for name in dict.fromkeys(request.query_params) if name not in known]
    if faults:
        raise InvalidInput("a parameter is not accepted", faults)


def _fault(name: str, known: tuple[str, ...]) -> FieldError:
    mend = did_you_mean(name[:80], list(known)) if known else "this route takes none"
    return FieldError(f"query.{name[:80]}", f"unknown parameter; {mend}")


def _taken(route: APIRoute) -> tuple[str, ...]:
    """The query parameters of a route and of what it depends on."""
    found: list[str] = []
    waiting: list[Dependant] = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        found += [parameter.alias for parameter in dependant.query_params]
        waiting += dependant.dependencies
    return tuple(found)

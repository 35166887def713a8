"""`check`: whether what the database holds agrees with itself."""

import json
from collections.abc import Callable, Sequence

from actinium.errors import StackError
from db import integrity
from db.engine import make_engine, revision, revisions
from db.integrity import Violation
from services.settings import Settings
from services.stack.databases import opened


def check(settings: Settings, *, as_json: bool, say: Callable[[str], object]) -> bool:
    """Look for every broken promise, and tell; whether there is none. A stack may be at work meanwhile."""
    with opened(settings) as databases:
        engine = make_engine(databases.actinium, pool_size=1)
        try:
            with engine.connect() as conn:
                found_revision, newest = revision(conn), revisions()[0]
            if found_revision != newest:
                raise StackError(
                    f"the database is of version {found_revision}, this code of version {newest}: "
                    "`actinium up` of the newer code brings a database up to date"
                )
            findings = integrity.examine(engine)
        finally:
            engine.dispose()
    say(json.dumps(document(findings), indent=2) if as_json else sentences(findings))
    return not any(finding.rule.severity == "fault" for finding in findings)


def document(findings: Sequence[Violation]) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "rules": len(integrity.RULES),
        "findings": [
            {
                "rule": finding.rule.name,
                "promise": finding.rule.promise,
                "severity": finding.rule.severity,
                "subject": finding.rule.subject,
                "count": finding.count,
                "examples": list(finding.examples),
            }
            for finding in findings
        ],
    }


def sentences(findings: Sequence[Violation]) -> str:
    """A line a rule that is broken, and one for those that hold."""
    lines = []
    for finding in findings:
        more = ", ..." if finding.count > len(finding.examples) else ""
        whom = f"{finding.count} ({finding.rule.subject} {', '.join(finding.examples)}{more})"
        lines.append(f"{finding.rule.severity}: {finding.rule.name}: broken by {whom}; {finding.rule.promise}")
    lines.append(f"{len(integrity.RULES) - len(findings)} of {len(integrity.RULES)} rules hold")
    return "\n".join(lines)

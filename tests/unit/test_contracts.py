"""The house's import contracts (pyproject.toml), held by a test."""

from importlinter.application.use_cases import create_report, read_user_options
from importlinter.configuration import configure


def test_imports_run_one_way() -> None:
    """Every contract is kept, and the file of contracts was really read."""
    configure()
    options = read_user_options()
    report = create_report(options, cache_dir=None)
    broken = [contract.name for contract, check in report.get_contracts_and_checks() if not check.kept]
    assert not report.could_not_run
    assert broken == []
    assert len(options.contracts_options) >= 8

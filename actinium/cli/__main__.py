"""`python -m actinium.cli`: the `actinium` command."""

from actinium.cli import main

main()

"""`python -m actinium.measurements` prints docs/measurements.md."""

import sys

from actinium.measurements.page import page

if __name__ == "__main__":
    sys.stdout.write(page())

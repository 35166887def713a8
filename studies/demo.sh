#!/usr/bin/env bash
# `make demo`: the stack, one study on real handwritten digits, and its three comparisons.
# With DEMO_EXIT=1 the stack is stopped at the end, and the exit status is 0 only if every trial succeeded.
set -uo pipefail
cd "$(dirname "$0")/.."
actinium=${BIN:-.venv/bin}/actinium

finish() {
  status=$?
  if [ "${DEMO_EXIT:-}" = 1 ]; then
    "$actinium" down || status=1
  fi
  exit $status
}
trap finish EXIT

"$actinium" status >/dev/null 2>&1 || "$actinium" up --detach || exit 1
if "$actinium" show demo >/dev/null 2>&1; then
  "$actinium" watch demo
else
  "$actinium" submit studies/demo.yaml --watch
fi
watched=$?
"$actinium" compare demo || exit 1
"$actinium" status
cat <<TEXT

Your own study: copy studies/demo.yaml, change it, then
  $actinium submit my-study.yaml --dry-run     what would run, and what is refused
  $actinium submit my-study.yaml --watch       run it
  $actinium compare my-study                   the three comparisons
TEXT
[ "${DEMO_EXIT:-}" = 1 ] || echo "The stack is left running; \`make down\` stops it."
exit $watched

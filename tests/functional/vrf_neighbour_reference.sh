#!/usr/bin/env bash
# The neighbours of 1000 made-up directories, selected by a second verifier; test_neighbour compares with the same file.
set -eu
cd "$(dirname "$0")/../.."
PYTHONDONTWRITEBYTECODE=1 python3 tests/functional/neighbour_reference.py check tests/vectors/delay/neighbour.json

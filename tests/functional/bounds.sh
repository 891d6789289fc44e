#!/usr/bin/env bash
# The bounds of the curve kernels, proved with exact integers. Ends with `N passed, N failed`.
set -eu
cd "$(dirname "$0")/../.."
exec python3 ./tests/functional/bounds.py -v

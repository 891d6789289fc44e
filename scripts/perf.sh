#!/usr/bin/env bash
# Runs the benchmarks in $BUILD/perf, all or those named (scripts/perf.sh unwrap x25519), and writes
# what they measured as JSON and as a page: see perf/run.py --help for the options.
set -u
cd "$(dirname "$0")/.." || exit
exec python3 perf/run.py --build "${BUILD:-build}" "$@"

#!/usr/bin/env bash
# The lab's command line through a pseudo-terminal, its socket and files.
cd "$(dirname "$0")/../.." || exit
exec python3 tests/functional/testmix_cli.py "${BUILD:-build}"

#!/usr/bin/env bash
# The delay's constants and golden values, derived again by an implementation that shares no code with lib/vrf.
set -eu
cd "$(dirname "$0")/../.."
python3 tests/functional/delay_reference.py check tests/vectors/delay/delay.json lib/vrf/delay.c

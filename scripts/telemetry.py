#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Asks a DPDK program over its telemetry socket: telemetry.py SOCKET [/command[,parameter] [member]...]

Without a command: the commands there are. With members: their values alone, as text with spaces between.
Exit status 1 when nobody answers or a member is missing."""
import json
import socket
import sys


def ask(path, command):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(5)
        s.connect(path)
        limit = json.loads(s.recv(1024))["max_output_len"]
        s.send(command.encode())
        return json.loads(s.recv(limit))[command.split(",")[0]]


def main(argv):
    if len(argv) < 2 or argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        answer = ask(argv[1], argv[2] if len(argv) > 2 else "/")
        if len(argv) > 3:
            values = [answer[member] for member in argv[3:]]
            print(*(v if isinstance(v, str) else json.dumps(v) for v in values))
        else:
            print(json.dumps(answer, indent=2))
    except (OSError, ValueError, KeyError, TypeError) as e:
        sys.exit(f"{argv[1]}: {type(e).__name__}: {e}")


main(sys.argv)

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""An observer of one link of a relay: does the wire tell how busy the relay is? See observer.sh, which calls it.

  observer.py catch ADDRESS PORT COUNT FILE        stands in for the relay: keeps COUNT packets that a client sends to it
  observer.py capture IFACE ADDRESS FILE           every UDP frame to ADDRESS with the kernel's time, until SIGTERM
  observer.py load key=value...                    offers loads in random order; keys as in `load` below
  observer.py alphas FOLDER MODE COUNT FILE        COUNT packets of a capture, as they are, for `keytool packet inspect`
  observer.py judge FOLDER MODE...                 judges captures
  observer.py selftest                             can the judge judge?
"""
import ctypes
import json
import math
import os
import random
import signal
import socket
import struct
import sys
import time

import observer_judge as judge
import observer_selftest

LOADS = (0, 50, 95)  # percent of the slots of a link
LINKS = 2  # among which clients choose
SO_TIMESTAMPNS, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 35, 33, 263, 6, 23
STOP = []


def catch_stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOP.append(1))


# --- packets for later ---

def catch(address, port, count, path):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    s.bind((address, port))
    s.settimeout(20)
    with open(path, "wb") as out:
        for _ in range(count):
            packet = s.recv(65536)
            out.write(struct.pack("<H", len(packet)) + packet)
    return 0


def packets(path):
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        n, = struct.unpack_from("<H", data, at)
        yield data[at + 2:at + 2 + n]
        at += 2 + n


# --- the observer ---

def capture(interface, address, path):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    s.bind((interface, 0))
    s.setblocking(False)
    wanted = socket.inet_aton(address)
    catch_stop()
    with open(path, "wb") as out:
        last = False
        while not last:
            last = bool(STOP)
            # the kernel has the time of each frame: the observer need not hurry, and so disturbs less
            time.sleep(0.02)
            while True:
                try:
                    frame, ancillary, _, _ = s.recvmsg(4096, 64)
                except BlockingIOError:
                    break
                if frame[30:34] == wanted and frame[23] == 17:
                    seconds, ns = struct.unpack("qq", ancillary[0][2])
                    out.write(judge.RECORD.pack(seconds * 1000000000 + ns, len(frame)) + frame)
    seen, dropped = struct.unpack("II", s.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(f"{seen} frames, {dropped} missed")
    return 1 if dropped else 0


# --- the load ---

class Telemetry:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(path)
        self.limit = json.loads(self.socket.recv(1024))["max_output_len"]

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(self.limit))[command.split(",")[0]]


class Sender:
    """Sends at the same times whatever the load: what is not for the relay goes to a sink behind a wire of the
    same kind, so that the load costs this machine the same and only the relay is more or less busy."""

    def __init__(self, relay, sink, path, rng):
        self.to, self.rng, self.sent = (relay, sink), rng, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.packets = list(packets(path))
        self.filler = os.urandom(len(self.packets[0]))

    def real(self):
        self.socket.sendto(self.packets[self.sent], self.to[0])
        self.sent += 1

    def until(self, end, rate, share):
        """Poisson arrivals of `rate` a second, a share of them for the relay."""
        due = time.monotonic()
        while (due := due + self.rng.expovariate(rate)) < end and self.sent < len(self.packets):
            rest = due - time.monotonic()
            if rest > 0:
                time.sleep(rest)
            if self.rng.random() < share:
                self.real()
            else:
                self.socket.sendto(self.filler, self.to[1])
        if end < math.inf:
            time.sleep(max(0, end - time.monotonic()))


def load(mode, slots, rounds, settle, measure, relay, sink, packet_file, out, telemetry, seed, spend="0"):
    """slots: of one link, per second. spend: send what is left at the end, so many a second."""
    rng = random.Random(seed)
    slots, settle, measure = int(slots), float(settle), float(measure)
    host, port = relay.split(":")
    sender = Sender((host, int(port)), (sink, 9), packet_file, rng)
    ask = Telemetry(telemetry)
    ctypes.CDLL(None).prctl(29, 1000, 0, 0, 0)  # PR_SET_TIMERSLACK: wake in time
    segments = []
    arrivals = LINKS * slots * max(LOADS) / 100
    for r in range(int(rounds)):
        for percent in rng.sample(LOADS, len(LOADS)):
            begin = time.monotonic()
            s = {"round": r, "load": percent, "settle": time.time_ns()}
            sender.until(begin + settle, arrivals, percent / max(LOADS))
            before = ask.ask("/mix/shaper")
            s["begin"] = time.time_ns()
            sender.until(begin + settle + measure, arrivals, percent / max(LOADS))
            s["end"] = time.time_ns()
            s["slots"] = [before, ask.ask("/mix/shaper")]
            segments.append(s)
    sent = sender.sent
    if sent == len(sender.packets):
        raise SystemExit("observer.py load: the packets were not enough: let the client make more")
    if float(spend):
        time.sleep(settle)
        sender.until(math.inf, float(spend), 1)
    with open(out, "w") as f:
        json.dump({"mode": mode, "rate": slots, "segments": segments, "sent": sender.sent}, f)
    print(f"{sent} packets in {len(segments)} segments, {sender.sent - sent} afterwards")
    return 0


# --- the verdict ---

def alphas(folder, mode, count, path):
    """Every n-th packet of the idle segments, with its frame, as hexadecimal lines."""
    frames = [f for s in judge.read_capture(folder, mode).segments(0) for f in s.frames]
    with open(path, "w") as f:
        for frame in frames[::max(1, len(frames) // count)][:count]:
            f.write(frame[judge.SPHINX - judge.FRAME:].hex() + "\n")
    return 0


def run_judge(folder, modes):
    started = time.monotonic()
    j = judge.Judge(seed=int.from_bytes(os.urandom(4), "little"))
    truth = set()
    if "off" in modes:
        control = judge.read_capture(folder, "off")
        _, frames = judge.read_frames(os.path.join(folder, "off.cap"))
        truth = {f[judge.SPHINX:judge.SPHINX + 32] for f in frames}
        j.say(f"--- off: {len(truth)} real packets; here the judge must see the load")
        strict = judge.Judge(seed=1, alpha=.01)  # fewer rounds: fewer ways to draw the loads
        strict.say = lambda text: j.say("      [off] " + text.replace("FAIL", "no  ").strip("\n"))
        strict.gaps(control)
        strict.windows(control, 0, 95)
        j.check("control", "gaps" in strict.failed, "off: the gaps give the load away, and the judge says so")
        j.check("control", "windows" in strict.failed, "off: the classifier tells idle from busy")
    blur = None
    for mode in modes:
        if mode == "off":
            continue
        c = judge.read_capture(folder, mode)
        j.say(f"--- {mode}")
        blur = j.link(c, truth if truth else None, blur) or blur
    j.say(f"judged in {time.monotonic() - started:.0f} s")
    print(f"{len(j.passed)} passed, {len(j.failed)} failed")
    return 1 if j.failed else 0


def main(a):
    try:
        if a[:1] == ["catch"] and len(a) == 5:
            return catch(a[1], int(a[2]), int(a[3]), a[4])
        if a[:1] == ["capture"] and len(a) == 4:
            return capture(a[1], a[2], a[3])
        if a[:1] == ["load"] and all("=" in x for x in a[1:]):
            return load(**dict(x.split("=", 1) for x in a[1:]))
        if a[:1] == ["alphas"] and len(a) == 5:
            return alphas(a[1], a[2], int(a[3]), a[4])
        if a[:1] == ["judge"] and len(a) >= 3:
            return run_judge(a[1], a[2:])
        if a == ["selftest"]:
            return observer_selftest.run()
    except OSError as e:
        print(f"observer.py {' '.join(a)}: {e}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Drives betanet-testmix as people and scripts do: every command, good and bad, on a
pseudo-terminal and through the socket; files of commands; options; exit statuses.

A case is (command, what the answer must hold: regular expressions). A command whose first
expression starts with "!" must be refused, and the rest of the expression is in the message."""
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

BUILD = sys.argv[1]
PROGRAM = f"{BUILD}/betanet-testmix"
PROMPT = "testmix> "
PATIENCE = 240 if "sanitize" in BUILD else 60
CPUS = ",".join(str(c) for c in sorted(os.sched_getaffinity(0)))
TMP = tempfile.mkdtemp(prefix="testmix_cli.")
PATIENT = ("--rxd", "4096", "--grace", "5")  # wires that hold all that is sent, however long an lcore sleeps
passed = failed = 0


def check(ok, what, detail=""):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what}\n    " + detail.replace("\n", "\n    "), flush=True)


def eal(lcores=2, ports=("net_null0", "net_null1"), memory=256):
    cores = ",".join(f"{i}@({CPUS})" for i in range(lcores))
    args = [PROGRAM, "--no-huge", "-m", str(memory), "--no-pci", "--no-telemetry", "--lcores", cores,
            "--file-prefix", "cli" + os.path.basename(TMP), "--log-level", "*:warning"]
    for p in ports:
        args += ["--vdev", p]
    return args + ["--", "--idle", "sleep"]


def environment():
    return dict(os.environ, RUNTIME_DIRECTORY=TMP, LSAN_OPTIONS="suppressions=tests/functional/lsan.supp")


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *options, **kw):
        args = eal(**kw) + ["-i", *options]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(environment())
            os.execv(args[0], args)
        self.start = self.read()
        # librte_cmdline prompts first and then takes the terminal out of its line mode
        end = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.fd)[3] & termios.ICANON and time.monotonic() < end:
            time.sleep(0.01)

    def read(self, until=PROMPT):
        """A prompt is the end of an answer; anything else may have more behind it."""
        out, end = "", time.monotonic() + PATIENCE
        while not out.endswith(PROMPT if until == PROMPT else "\0") and time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.2)[0]:
                if until in out:
                    break
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data.decode(errors="replace").replace("\r", "")
        return out

    def type(self, keys, until=PROMPT):
        os.write(self.fd, keys.encode())
        return self.read(until)

    def command(self, line):
        """(error or None, text)"""
        answer = self.type(line + "\n")
        body = answer.removeprefix(line + "\n").removesuffix(PROMPT)
        error = re.search(r"^Error: (.*)$", body, re.M)
        return (error.group(1) if error else None), body

    def end(self):
        self.read(until="\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)
        return "killed"


class Socket:
    """The program in the background, and a client of its socket."""

    def __init__(self, *options, **kw):
        self.path = f"{TMP}/socket"
        self.log = open(f"{TMP}/socket.log", "w+")
        self.process = subprocess.Popen(eal(**kw) + ["-i", "--socket", self.path, *options], env=environment(),
                                        stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT)
        self.client = self.connect()

    def connect(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(self.path)
                return s.makefile("rw", newline="\n")
            except OSError:
                s.close()
                time.sleep(0.05)
        self.log.seek(0)
        raise SystemExit("FAILED: the socket does not open\n" + self.log.read() + f"{passed} passed, {failed + 1} failed")

    def command(self, line, client=None):
        client = client or self.client
        client.write(line + "\n")
        client.flush()
        text = ""
        while True:
            answer = client.readline()
            if answer in ("OK\n", ""):
                return (None if answer else "the connection ended"), text
            if answer.startswith("ERROR "):
                return answer[6:].rstrip("\n"), text
            text += answer

    def end(self):
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "killed"


def run(*args, status=0, feed="", timeout=PATIENCE, **kw):
    """The whole program; its output."""
    p = subprocess.run(eal(**kw) + list(args), env=environment(), input=feed, text=True, timeout=timeout,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(p.returncode == status or (status is None and p.returncode), f"exit status {status} of {' '.join(args)}", f"{p.returncode}\n{p.stdout}")
    return p.stdout


def hold(where, line, error, text, expected):
    refused = bool(expected) and expected[0].startswith("!")
    patterns = [expected[0][1:], *expected[1:]] if refused else expected
    where = f"{where}: {line}"
    if refused != (error is not None):
        check(False, where, f"error: {error}\n{text}")
        return
    for p in patterns:
        check(re.search(p, error if refused else text, re.M), f"{where}: {p}", error or text)


def transcript(session, where, cases):
    for line, *expected in cases:
        if callable(line):
            line()
            continue
        error, text = session.command(line)
        hold(where, line, error, text, expected or [""])


def wait(seconds):
    return (lambda: time.sleep(seconds),)


FORWARDED = r"RX-packets: [1-9]\d* +RX-dropped: 0 +RX-total: [1-9]"
CYCLES = r"CPU cycles/packet=\d+\.\d\d \(total cycles=\d+ / total io packets=\d+\) at \d+ MHz Clock"

# Every command of the table, right and wrong, on two net_null ports.
COMMANDS = [
    ("help", r"help control", r"help display", r"help config", r"help all"),
    ("help control", r"^start$", r"^quit$", r"^load <file:>$"),
    ("help display", r"^show fwd stats all$"),
    ("help config", r"^set burst <packets:1\.\.512>$"),
    ("help all", r"^stop$", r"^show rxq info", r"^set fwd"),
    ("help nonsense", r'!bad argument "nonsense"; allowed: control\|display\|config\|all'),
    ("", ""),
    ("# a comment", ""),
    ("nonsense", r'!unknown command "nonsense"; allowed: .*start.*show.*set'),
    ("show", r'!lacks a word; allowed: .*port.*fwd.*config'),
    ("show port", r"!lacks a word; allowed: info\|stats\|xstats\|summary"),
    ("show port nonsense 0", r'!"nonsense"; allowed: info\|stats\|xstats\|summary'),
    ("show port info 0", r"Infos for port 0", r"^Driver name: net_null$", r"^Current number of RX queues: 1$"),
    ("show port info all", r"Infos for port 0", r"Infos for port 1"),
    ("show port info 2", r'!bad argument "2"; allowed: all or a port \(0, 1\)'),
    ("show port stats 1", r"NIC statistics for port 1", r"RX-packets: \d+", r"Tx-pps:"),
    ("show port stats all", r"NIC statistics for port 0", r"NIC statistics for port 1"),
    ("show port xstats 0", r"^rx_good_packets: 0$"),
    ("show port summary all", r"^Number of available ports: 2$", r"^1 +..:..:..:..:..:.. net_null1 +net_null +up"),
    ("show port summary -1", r'!"-1"; allowed: all or a port'),
    ("show config rxtx", r"io packet forwarding packets/burst=32", r"RX desc=1024"),
    ("show config cores", r"^List of forwarding lcores:  1$"),
    ("show config fwd", r"ports=2 - cores=1 - streams=2", r"RX P=1/Q=0 \(socket 0\) -> TX P=0/Q=0"),
    ("show config nonsense", r'!"nonsense"; allowed: rxtx\|cores\|fwd'),
    ("show rxq info 0 0", r"!the driver net_null of port 0 says nothing of its queues: Operation not supported"),
    ("show rxq info 0 1", r"!port 0 has 1 RX queues: queue 0 to 0"),
    ("show rxq info 5 0", r'!"5"; allowed: port \(0, 1\)'),
    ("show fwd stats all", r"Forward statistics for port 0", r"Accumulated forward statistics for all ports"),
    ("show fwd stats 0", r'!"0"; allowed: all'),
    ("set burst 0", r'!"0"; allowed: packets from 1 to 512'),
    ("set burst 513", r'!"513"; allowed: packets from 1 to 512'),
    ("set burst 16", r"^Number of packets per burst set to 16$"),
    ("set burst 16 17", r'!"17"; allowed: the end of the line'),
    ("show config rxtx", r"packets/burst=16$"),
    ("set fwd nonsense", r'!"nonsense"; allowed: io\|mac\|parse\|sphinx\|sphinx-nodelay\|sphinx-noreplay'),
    ("show mix", r"!lacks a word; allowed: stats\|drops\|stages\|wheel\|replay\|shaper\|cover\|epoch\|crypto"),
    ("show mix stats", r"!there is no pipeline: set fwd to a sphinx engine, start"),
    ("show mix drops", r"!io has nothing to show: set fwd parse or a sphinx engine"),
    ("show traffic", r"!there is no generator: start the program with --wires"),
    ("wait traffic 1", r"!start the program with --wires"),
    ("wait seconds 0", r'!"0"; allowed: seconds from 1 to 86400'),
    ("wait nonsense 1", r'!"nonsense"; allowed: seconds\|traffic'),
    ("set fwd mac", r"^Set mac packet forwarding mode"),
    ("set fwd io", r"^Set io packet forwarding mode"),
    ("set verbose 2", r'!"2"; allowed: level from 0 to 1'),
    ("set verbose 1", r"^Change verbose level from 0 to 1$"),
    ("set record-core-cycles maybe", r'!"maybe"; allowed: on\|off'),
    ("set record-core-cycles on", r"is on$"),
    ("set", r"!lacks a word; allowed: .*fwd.*burst"),
    ("stop", r"!nothing is forwarded: start it first"),
    ("start nonsense", r'!"nonsense"; allowed: .*tx_first'),
    ("start", r"io packet forwarding - ports=2 - cores=1", r"packets/burst=16$"),
    ("start", r"!already runs: stop it first"),
    ("set fwd mac", r"!stop first"),
    ("set burst 32", r"!stop first"),
    ("set record-core-cycles off", r"!stop first"),
    wait(0.2),
    ("show fwd stats all", FORWARDED, CYCLES),
    ("show port stats all", r"RX-packets: [1-9]"),
    ("stop", r"Telling cores to stop", FORWARDED, CYCLES, r"NIC statistics for port 1", r"^Done\.$"),
    ("clear fwd stats all", ""),
    ("show fwd stats all", r"RX-packets: 0 +RX-dropped: 0 +RX-total: 0"),
    ("clear fwd stats 1", r'!"1"; allowed: all'),
    ("clear port stats all", r"NIC statistics for port 0 cleared", r"NIC statistics for port 1 cleared"),
    ("clear port stats 1", r"NIC statistics for port 1 cleared"),
    ("clear port stats 9", r'!"9"; allowed: all or a port \(0, 1\)'),
    ("clear", r"!lacks a word; allowed: port, fwd"),
    ("set verbose 0", r"from 1 to 0"),
    ("set record-core-cycles off", r"is off$"),
    ("set fwd mac", ""),
    ("start tx_first", r"mac packet forwarding"),
    wait(0.1),
    ("stop", FORWARDED),
    ("start tx_first 3", ""),
    ("stop", FORWARDED),
    ("start tx_first 0", r'!"0"; allowed: .*bursts from 1 to 1000'),
    ("load", r"!lacks a word; allowed: a file"),
    ("load /nonexistent", r"!/nonexistent: No such file or directory"),
    (f"load {TMP}/good", r"^Number of packets per burst set to 5$", r"^Set io packet"),
    (f"load {TMP}/bad", f'!{TMP}/bad:3: bad argument "0"; allowed: packets from 1 to 512'),
    ("show config rxtx", r"packets/burst=6$"),
    (f"load {TMP}/long", f"!{TMP}/long:2: a line has at most 1023 characters"),
    (f"load {TMP}/nested", f'!{TMP}/nested:2: {TMP}/bad:3: bad argument "0"'),
    (f"load {TMP}/endless", r"!load each other more than"),
]


def sent(good, bad=0, cover=0, replayed=0):
    total = good + bad + cover + replayed
    return (rf"^  sent: {total} of {total} \(good {good}, bad {bad}, cover {cover}, replayed {replayed}\), "
            rf"not taken: 0$")


def back(good, again=0):
    return rf"^  returned: {good} of {good}, lost: 0 \(0\.0000 %\), again: {again}, corrupt: 0, "


ALL_BACK = r"^  state: judged$", back(1000), sent(1000)

# Generator and sink, and every engine between them.
TRAFFIC = [
    ("show traffic", r"^  state: idle$"),
    ("wait traffic 1", r"!nothing is forwarded: start it first"),
    ("set packets 0", r'!"0"; allowed: number from 1 to 2000000'),
    ("set packets 1000", r"set to 1000$"),
    ("set rate nonsense", r'!"nonsense"; allowed: pps from 0 to 20000000'),
    ("set rate 4000", r"Offered rate set to 4000 packets/s$"),
    ("set arrivals nonsense", r'!"nonsense"; allowed: constant\|poisson'),
    ("set arrivals constant", r"Arrivals set to constant"),
    ("set share nonsense 1", r'!"nonsense"; allowed: bad\|replayed\|cover'),
    ("set share bad 91", r'!"91"; allowed: percent from 0 to 90'),
    ("set share bad 60", r"Share of bad packets set to 60 percent"),
    ("set share cover 31", r"!would be 91 percent together: at most 90"),
    ("set share bad 0", r"set to 0 percent"),
    ("set delay nonsense", r'!"nonsense"; allowed: vrf\|sender\|sum\|none'),
    ("set delay sender 0", r'!"0"; allowed: .*ms from 0\.1 to 10000'),
    ("set delay sender 20", r"Delay mode set to sender, mean 20 ms"),
    ("set cover nonsense", r'!"nonsense"; allowed: off, loops'),
    ("set cover loops 0", r'!"0"; allowed: pps from 0\.01 to 1000'),
    ("set shaping constant 1000", r"!fills its empty slots with cover: set cover loops first"),
    ("set shaping rate", r"!lacks a word; allowed: pps from 1"),
    ("set record-core-cycles on", ""),
    ("start", r"building 1000 packets of 1376 bytes", r"io packet forwarding"),
    ("set rate 1", r"!it is read at the start: stop first"),
    ("set packets 1", r"!stop first"),
    ("set delay none", r"!stop first"),
    ("wait traffic 60", ""),
    ("show traffic", *ALL_BACK, r"^  offered: 4000 packets/s, constant arrivals; \d+ packets/s over",
     r"^  residence ms: min", r"^  lateness  ms: min", r"^  send lag  ms: min"),
    ("stop", *ALL_BACK, r"total io packets=1000\)"),
    ("set fwd mac", ""),
    ("start", ""),
    ("stop", r"state: judged", r"lost: 0 \(0\.0000 %\)"),  # what was sent until then is all back
    ("set fwd parse", ""),
    ("set share bad 10", ""),
    ("set arrivals poisson", ""),
    ("start", r"building 1111 packets"),
    ("wait traffic 60", ""),
    ("stop", back(1111), sent(1000, bad=111), r"Poisson arrivals"),  # parse checks no header of Sphinx
    ("show mix stages", r"^  parse +\d+ +1111 ", r"^  all stages \d+ cycles/packet"),
    ("show mix drops", r"^  all +0$"),
    ("show mix stats", r"!there is no pipeline"),
    ("set fwd sphinx-nodelay", r"Set sphinx-nodelay packet forwarding mode"),
    ("start tx_first", r"!tx_first is for io, mac and parse"),
    ("set share replayed 10", ""),
    ("set share cover 20", ""),
    ("start", r"building \d+ packets"),
    ("wait traffic 60", ""),
    ("show mix stats", r"^  rx +16\d\d$", r"^  forwarded +1000$"),
    ("show mix drops", r"^  bad_mac +167 ", r"^  replay +167 ", r"^  all +334$"),
    ("show mix stages", r"^  open +\d+ +1667 ", r"^  transmit "),
    ("show mix cover", r"^  loop_rate_pps +off$", r"^  cover_received +333$"),
    ("stop", back(1000), sent(1000, bad=167, cover=333, replayed=167), r"total sphinx-nodelay packets=",
     r"^  the engine says: bad_mac 167 of 167, replay 167 of 167, cover_received 333 of 333$"),
    ("show mix wheel", r"^  parked +0$", r"^  lateness, ns below: \d+:"),
    ("show mix replay", r"^  tags +1333$", r"^  replays +167$"),
    ("show mix shaper", r"^  mode +off$"),
    ("show mix epoch", r"^  delay_mode +none$"),
    ("show mix crypto", r"^  sphinx_key +[0-9a-f]{64}$", r"^  simd_bits +(128|256|512)$"),
    ("set fwd sphinx-noreplay", ""),
    ("start", ""),
    ("wait traffic 60", ""),
    ("show mix replay", r"^  tags +0$", r"not looked up: engine sphinx-noreplay"),
    ("stop", back(1000, again=167), r"the engine says: bad_mac 167 of 167, replay 0 of 0, "),
    ("show mix drops", r"^  bad_mac +167 ", r"^  all +167$"),
    ("set fwd sphinx", ""),
    ("set share bad 0", ""),
    ("set share replayed 0", ""),
    ("set share cover 0", ""),
    ("set verbose 1", ""),
    ("start", r"building 1000 packets"),
    ("wait traffic 60", ""),
    ("stop", *ALL_BACK, r"early: 0$", r"^  route +\d+ +1000 "),  # no packet came back before its time
    ("set verbose 0", ""),
    ("set delay vrf 10", r"mode set to vrf, mean 10 ms"),
    ("start", ""),
    ("wait traffic 60", ""),
    ("show mix epoch", r"^  delay_mode +vrf$", r"^  epochs_proved +[1-9]"),
    ("stop", *ALL_BACK),
    ("set delay none", ""),
    ("set cover loops 20", r"Cover set to 20 loops/s"),
    ("set shaping constant 3000", r"Shaping set to constant, 3000 packets/s for each link"),
    ("set cover off", r"!shaping constant fills its empty slots with cover"),
    ("set rate 1000", ""),
    ("start", ""),
    ("wait traffic 60", ""),
    ("show mix shaper", r"^  mode +constant$", r"^  links +1$", r"^  slots_real +1\d\d\d$",
     r"^  slots_cover +[1-9]"),
    ("stop", back(1000), r"foreign: [1-9]"),  # cover, which the sink cannot know
    ("set shaping rate 2000", r"Shaping set to rate, 2000"),
    ("set shaping off", r"Shaping set to off"),
    ("set cover off", r"Cover is off"),
    ("set rate 0", r"as fast as they are taken"),
    ("set fwd sphinx-nodelay", ""),
    ("start", ""),
    ("wait traffic 60", ""),
    ("stop", back(1000)),
    ("set fwd io", ""),
    ("show mix stats", r"!there is no pipeline"),
    ("wait seconds 1", ""),
]


def write(name, text):
    with open(f"{TMP}/{name}", "w") as f:
        f.write(text)


def files():
    write("good", "# settings\n\nset burst 5\nset fwd io   # and nothing more\n")
    write("bad", "set burst 6\n\nset burst 0\nset burst 7\n")
    write("nested", f"set burst 8\nload {TMP}/bad\nset burst 9\n")
    write("long", "set burst 6\nset burst 3 " + " " * 2000 + "\n")
    write("endless", f"load {TMP}/endless\n")
    write("session", "set record-core-cycles on\nstart\nshow fwd stats all\nstop\nquit\n")


def on_a_terminal():
    t = Terminal()
    check(t.start.endswith(PROMPT), "a prompt on the terminal", t.start)
    transcript(t, "terminal", COMMANDS)
    # completion and history
    answer = t.type("set bu\t", until="burst ")
    check("burst " in answer, "TAB completes a word", answer)
    answer = t.type("\t", until="packets")
    check("packets from 1 to 512" in answer, "TAB names a number's range", answer)
    t.type("12\n")
    check("packets/burst=12" in t.command("show config rxtx")[1], "the completed line was run")
    answer = t.type("show port info \t", until="1 ")
    check(re.search(r"\ball\b.*\b0\b.*\b1\b", answer, re.S), "TAB lists the ports", answer)
    t.type("\x15\n")  # ^U
    answer = t.type("set fwd \t", until="mac")
    check("io" in answer and "mac" in answer, "TAB lists the engines", answer)
    t.type("\x15\n")
    t.command("show config cores")
    answer = t.type("\x1b[A\n")
    check("List of forwarding lcores" in answer, "arrow up brings the last line back", answer)
    os.write(t.fd, b"quit\n")
    check(t.end() == 0, "quit ends with status 0")
    t = Terminal("--auto-start")
    check("io packet forwarding" in t.start, "--auto-start", t.start)
    os.write(t.fd, b"\x04")
    check(t.end() == 0, "^D leaves, while forwarding too")


def through_the_socket():
    s = Socket()
    check(os.stat(s.path).st_mode & 0o077 == 0, "only the owner may command the lab")
    transcript(s, "socket", COMMANDS)
    other = s.connect()
    check(s.command("set burst 21", other)[0] is None, "a second client")
    check("packets/burst=21" in s.command("show config rxtx")[1], "both talk to one lab")
    other.close()
    error, _ = s.command("set burst 20" + " " * 2000 + "# too long")
    check(error == "a line has at most 1023 characters", "a line that is too long is refused", str(error))
    check("packets/burst=21" in s.command("show config rxtx")[1], "and not run in part")
    s.client.write("set burst 30\nset burst 31\nshow config rxtx\n")
    s.client.flush()
    answers = [s.client.readline() for _ in range(4)]
    check(answers.count("OK\n") == 2, "commands may be sent ahead", repr(answers))
    while s.client.readline() != "OK\n":
        pass
    check(s.command("quit")[1] == "Bye...\n", "quit says so")
    check(s.end() == 0, "quit on the socket ends the program with status 0")
    check(not os.path.exists(s.path), "the socket is gone")


def options():
    out = run("-i", "--cmdline-file", f"{TMP}/session")
    check("CLI commands to be read from" in out and "Bye..." in out, "--cmdline-file", out)
    check(re.search(CYCLES, out) or "RX-packets: 0" in out, "--cmdline-file prints what it runs", out)
    out = run("-i", "--cmdline-file", f"{TMP}/bad", status=1)
    check(f'{TMP}/bad:3: bad argument "0"' in out, "--cmdline-file stops at the first error", out)
    out = run("-i", feed="show config cores\nnonsense\nset burst 3\nquit\n")
    check("List of forwarding lcores" in out and "Error: unknown command" in out and "set to 3" in out,
          "commands through a pipe", out)
    out = run(feed="set burst 3\n")
    check("Press enter to exit" in out and "Done." in out and "set to 3" not in out, "without -i: enter leaves", out)
    p = subprocess.Popen(eal() + ["--stats-period", "1", "--tx-first", "--forward-mode", "mac"], env=environment(),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen, end = "", time.monotonic() + PATIENCE
    while seen.count("NIC statistics for port 1") < 2 and time.monotonic() < end:
        seen += p.stdout.readline()
    p.send_signal(signal.SIGTERM)
    rest = p.communicate(timeout=PATIENCE)[0]
    check(seen.count("NIC statistics for port 1") == 2, "--stats-period shows the ports again and again", seen)
    check(re.search(FORWARDED, rest) and p.returncode == 0, "a signal stops forwarding and leaves", rest)
    out = run("-i", "--config", "(0,0,2),(1,0,1)", feed="show config fwd\nshow config cores\nquit\n", lcores=3)
    check(re.search(r"cores=2 - streams=2", out) and re.search(r"lcores:  2  1$", out, re.M), "--config", out)
    out = run("-i", "--nb-cores", "2", "--burst", "7", "--rxd", "256", "--txd", "512",
              feed="show config rxtx\nquit\n", lcores=3)
    check(all(w in out for w in ("cores=2", "packets/burst=7", "RX desc=256", "TX desc=512")),
          "--nb-cores, --burst, --rxd, --txd", out)
    for wrong, message in (
            (["--burst", "513"], r'--burst: "513" is not a whole number from 1 to 512'),
            (["--nonsense"], r'unknown option "--nonsense"'),
            (["--forward-mode", "nonsense"], r'--forward-mode: "nonsense": allowed: io, mac'),
            (["--config", "(0,0)"], r'--config: "\(0,0\)" is not \(port,queue,lcore\)'),
            (["--idle", "spin"], r"--idle is given twice"),
    ):
        check(re.search(message, run(*wrong, status=2)), f"refused: {wrong}")
    for wrong, message in (
            (["--config", "(0,0,9)"], r"EAL has no lcore 9 beside its main lcore 0"),
            (["--config", "(0,0,1),(0,0,1)"], r"each once"),
            (["--config", "(0,1,1),(1,0,1)"], r"queue 0 of port 0 is missing"),
            (["--nb-cores", "2"], r"--nb-cores 2: EAL has 2 lcores"),
            (["--socket", "/nonexistent/socket"], r"--socket /nonexistent/socket: No such file"),
    ):
        check(re.search(message, run("-i", *wrong, status=1)), f"refused: {wrong}")
    check("EAL has no port" in run("-i", status=1, ports=()), "no port is an error with advice")
    p = subprocess.run([PROGRAM, "--help"], text=True, stdout=subprocess.PIPE)
    check(p.returncode == 0 and "--cmdline-file FILE" in p.stdout and "--directory FILE" in p.stdout, "--help",
          p.stdout)


def with_traffic():
    s = Socket("--wires", *PATIENT, lcores=4, ports=(), memory=512)
    transcript(s, "wires", TRAFFIC)
    s.command("quit")
    check(s.end() == 0, "quit ends with status 0")
    # an exit: the messages come back
    out = run("-i", "--wires", "--hops", "1", "--packets", "500", "--rate", "2000", "--forward-mode", "sphinx",
              *PATIENT, feed="start\nwait traffic 60\nshow mix stats\nstop\nquit\n", lcores=4, ports=(), memory=512)
    check(re.search(back(500), out, re.M) and re.search(r"^  delivered +500$", out, re.M), "engine sphinx as the exit", out)
    # two workers: each has a queue of each wire
    out = run("-i", "--wires", "--nb-cores", "2", "--packets", "2000", "--rate", "4000", "--forward-mode", "sphinx-nodelay",
              *PATIENT, feed="start\nwait traffic 60\nstop\nset fwd parse\nstart\nwait traffic 60\nstop\nquit\n",
              lcores=5, ports=(), memory=512)
    check(len(re.findall(back(2000), out, re.M)) == 2 and "Logical Core 2 (socket 0) runs worker 1 on 2 queues" in out,
          "two forwarding lcores", out)
    # packets of a file
    args = ("-i", "--wires", "--packets", "600", "--rate", "3000", "--store", f"{TMP}/store", *PATIENT,
            "--forward-mode", "sphinx-nodelay", "--bad", "10")
    more = dict(feed="show mix crypto\nstart\nwait traffic 60\nshow mix crypto\nstop\nquit\n", lcores=4, ports=(), memory=512)
    first, second = run(*args, **more), run(*args, **more)
    key = re.compile(r"^  sphinx_key +(\w{64})$", re.M)
    check(re.search(back(600), first, re.M) and f"written to {TMP}/store" in first, "packets are stored", first)
    check(re.search(back(600), second, re.M) and f"667 packets are in {TMP}/store" in second and
          "building" not in second, "stored packets are taken", second)
    check(key.search(first)[1] == key.search(second)[1], "for the key that they were made for")
    check(os.stat(f"{TMP}/store").st_mode & 0o077 == 0, "the file is the owner's alone")
    out = run(*args, "--hops", "2", **{**more, "status": 1})
    check("its packets have 3 hops, not 2: give --hops 3" in out, "stored packets of other routes are refused", out)
    os.truncate(f"{TMP}/store", 100000)
    check("cut off; remove it" in run(*args, **{**more, "status": 1}), "a file that was cut off is refused")
    # more than can be taken: what is lost is said
    out = run("-i", "--wires", "--packets", "20000", "--rate", "20000000", "--forward-mode", "sphinx-nodelay",
              "--rxd", "256", "--grace", "5", feed="start\nwait traffic 60\nstop\nquit\n", lcores=4, ports=(), memory=512)
    taken = re.search(r"^  sent: (\d+) of 20000 .*not taken: (\d+)$", out, re.M)
    check(taken and int(taken[2]) > 0 and int(taken[1]) + int(taken[2]) == 20000, "overload: what was not taken is counted", out)
    p = subprocess.Popen(eal(lcores=4, ports=(), memory=512) + ["--wires", "--packets", "200000"], env=environment(),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = p.stdout.readline()
    while line and not line.startswith("  built"):
        line = p.stdout.readline()
    p.send_signal(signal.SIGINT)
    rest = p.communicate(timeout=PATIENCE)[0]
    check(line.startswith("  built") and "interrupted while packets were built" in rest and p.returncode == 1,
          "progress is shown while packets are built, and a signal ends it", line + rest)
    for wrong, message in (
            (["--wires", "--nb-cores", "2"], r"--nb-cores 2: EAL has 4 lcores, .* generator and sink"),
            (["--wires", "--nb-cores", "17"], r"--nb-cores 17: wires have at most 16 queues"),
            (["--wires", "--nb-cores", "1", "--cover", "50", "--bad", "41"], r"are 91 percent together"),
            (["--wires", "--tx-first"], r"--tx-first and --wires exclude each other"),
    ):
        check(re.search(message, run("-i", *wrong, lcores=4, ports=(), memory=512, status=None)), f"refused: {wrong}")


def looped_capture():
    """A capture of one frame, played again and again."""
    frame = bytes(60)
    with open(f"{TMP}/loop.pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        f.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    ports = (f"net_pcap0,rx_pcap={TMP}/loop.pcap,infinite_rx=1,tx_pcap={TMP}/out.pcap",)
    out = run("-i", "--forward-mode", "sphinx", feed="start\nset fwd sphinx-nodelay\nstart\nset fwd sphinx-noreplay\nstart\n"
              "stop\nquit\n", ports=ports, memory=512)
    check(out.count("loops a capture (infinite_rx=1)") == 2 and "`replay`" in out, "a looped capture is refused", out)
    check("sphinx-noreplay packet forwarding" in out and "Done." in out, "but not where packets may come again", out)


def benchmark():
    wanted = ("sent", "processed", "dropped", "elapsed", "throughput", "mean processing", "success rate")
    out = run("--benchmark", "--duration", "1", "--packets", "2000", "--target-pps", "100", ports=(), memory=512)
    check(all(re.search(rf"^{w} +\d", out, re.M) for w in wanted), "the benchmark's figures", out)
    check("target of 100 packets/s: reached" in out, "a target within reach: status 0", out)
    out = run("--benchmark", "--duration", "1", "--packets", "2000", "--target-pps", "100000000", ports=(), memory=512,
              status=1)
    check("target of 100000000 packets/s: missed" in out, "a target out of reach: status 1", out)


def main():
    files()
    with_traffic()
    looped_capture()
    benchmark()
    on_a_terminal()
    through_the_socket()
    options()
    subprocess.run(["rm", "-rf", TMP])
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the namespace lab does with raw sockets. Run inside a namespace, as root.

  netlab.py can PACKET|XDP                   exit 0, or 1 with the reason why the kernel refuses
  netlab.py ping ADDRESS                     five echo requests; exit 0 if each comes back unchanged
  netlab.py capture IFACE PORT FILE          the payload of the first UDP datagram sent to PORT
  netlab.py resend ADDRESS PORT FILE         sends it once more
  netlab.py wrong DRIVER SOCKET IFACE ADDRESS4 ADDRESS6 PORT FILE
                                             everything that a relay must drop, with its counter
"""
import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import time

AF_XDP = 44
EACH = 3  # frames of each kind of wrong input


# --- what the kernel allows ---

def bpf_refused():
    """None, or why bpf(2) refuses to make a map, as loading an XDP program needs."""
    libc = ctypes.CDLL(None, use_errno=True)
    attr = ctypes.create_string_buffer(struct.pack("=IIII", 2, 4, 4, 1), 128)  # an array of one
    fd = libc.syscall(321, 0, attr, 128)
    if fd < 0:
        return "bpf(2): " + os.strerror(ctypes.get_errno())
    os.close(fd)
    return None


def can(what):
    try:
        if what == "XDP":
            socket.socket(AF_XDP, socket.SOCK_RAW, 0).close()
            reason = bpf_refused()
        else:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
            reason = None
    except OSError as e:
        reason = f"AF_{what} socket: {e.strerror}"
    if reason:
        print(reason)
    return 1 if reason else 0


# --- telemetry ---

def telemetry(path, command):
    tool = os.path.join(os.path.dirname(__file__), "../../scripts/telemetry.py")
    return json.loads(subprocess.check_output([sys.executable, tool, path, command]))


# --- echo ---

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def echo_once(s, address, sequence, v6):
    body = os.urandom(48)
    head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, os.getpid() & 0xFFFF, sequence)
    if not v6:  # for ICMPv6 the kernel does it
        head = head[:2] + struct.pack("!H", checksum(head + body)) + head[4:]
    s.sendto(head + body, (address, 0))
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            packet, sender = s.recvfrom(2048)
        except socket.timeout:
            return False
        icmp = packet if v6 else packet[(packet[0] & 15) * 4:]
        if icmp[0] == (129 if v6 else 0) and icmp[4:] == head[4:] + body:
            return v6 or checksum(icmp) == 0
    return False


def ping(address):
    v6 = ":" in address
    if v6:
        s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(2)
    answered = sum(echo_once(s, address, i, v6) for i in range(5))
    print(f"{answered} of 5 echo requests answered by {address}")
    return 0 if answered == 5 else 1


# --- a packet off the wire ---

def capture(interface, port, path):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((interface, 0))
    s.settimeout(60)
    while True:
        f = s.recv(4096)
        if f[12:14] == b"\x08\x00" and f[23] == 17 and struct.unpack("!H", f[36:38])[0] == port:
            with open(path, "wb") as out:
                out.write(f[42:14 + struct.unpack("!H", f[16:18])[0]])
            return 0


def resend(address, port, path):
    with open(path, "rb") as f:
        payload = f.read()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(payload, (address, port))
    return 0


# --- wrong input ---

class Frames:
    """Frames to one relay, right but for what the caller changes."""

    def __init__(self, interface, ip4, ip6, port):
        self.ip4, self.ip6, self.port = ip4, ip6, port
        with open(f"/sys/class/net/{interface}/address") as f:
            self.own_mac = bytes.fromhex(f.read().strip().replace(":", ""))
        self.mac = self.relay_mac()

    def relay_mac(self):
        with open("/proc/net/arp") as f:
            for line in f.readlines()[1:]:
                column = line.split()
                if column[0] == self.ip4 and column[3] != "00:00:00:00:00:00":
                    return bytes.fromhex(column[3].replace(":", ""))
        raise SystemExit(f"no ARP entry for {self.ip4}: ping it first")

    def ethernet(self, kind, rest):
        return self.mac + self.own_mac + struct.pack("!H", kind) + rest

    def udp(self, payload, port=None, length=None, check=0):
        return struct.pack("!HHHH", 40000, port or self.port,
                           8 + len(payload) if length is None else length, check) + payload

    def v4(self, rest, options=b"", flags=0, protocol=17, version=4, total=None, to=None, spoil=0):
        ihl = 5 + len(options) // 4
        total = ihl * 4 + len(rest) if total is None else total
        source = socket.inet_aton(self.ip4.rsplit(".", 1)[0] + ".99")
        head = struct.pack("!BBHHHBBH4s4s", version << 4 | ihl, 0, total, 0, flags, 64, protocol, 0,
                           source, socket.inet_aton(to or self.ip4)) + options
        head = head[:10] + struct.pack("!H", checksum(head) ^ spoil) + head[12:]
        return self.ethernet(0x0800, head + rest)

    def v6(self, rest, next_header=17, length=None, to=None):
        source = socket.inet_pton(socket.AF_INET6, self.ip6.rsplit(":", 1)[0] + ":99")
        head = struct.pack("!IHBB", 6 << 28, len(rest) if length is None else length,
                           next_header, 64)
        target = socket.inet_pton(socket.AF_INET6, to or self.ip6)
        return self.ethernet(0x86DD, head + source + target + rest)


def changed(payload, at, mask=0xFF):
    return payload[:at] + bytes([payload[at] ^ mask]) + payload[at + 1:]


def wrong_frames(f, good):
    """Rows of: what is wrong, the counter, the frame. `good` is a packet that was accepted."""
    alpha, gamma = 4, 4 + 32  # behind the frame of 4 bytes
    u = f.udp(good)
    other4 = f.ip4.rsplit(".", 1)[0] + ".77"
    other6 = f.ip6.rsplit(":", 1)[0] + ":77"
    return [
        ("unknown EtherType", "bad_ethernet", f.ethernet(0x88B5, u)),
        ("IPv4 header cut off", "bad_ip", f.v4(u)[:14 + 12]),
        ("IPv4 of version 5", "bad_ip", f.v4(u, version=5)),
        ("IPv4 longer than the frame", "bad_ip", f.v4(u, total=9000)),
        ("IPv6 header cut off", "bad_ip", f.v6(u)[:14 + 30]),
        ("IPv6 longer than the frame", "bad_ip", f.v6(u, length=9000)),
        ("IPv4 header checksum", "bad_ip_checksum", f.v4(u, spoil=0x0101)),
        ("IPv4 options", "ip_options", f.v4(u, options=b"\x01\x01\x01\x01")),
        ("IPv6 hop-by-hop options", "ip_options",
         f.v6(b"\x11\0\x01\x04\0\0\0\0" + u, next_header=0)),
        ("first IPv4 fragment", "ip_fragment", f.v4(u, flags=0x2000)),
        ("later IPv4 fragment", "ip_fragment", f.v4(good[:512], flags=64)),
        ("IPv6 fragment", "ip_fragment", f.v6(b"\x11\0\0\x01\0\0\0\x07" + u, next_header=44)),
        ("another IPv4 host", "not_ours", f.v4(u, to=other4)),
        ("another IPv6 host", "not_ours", f.v6(u, to=other6)),
        ("IP protocol 253", "not_udp", f.v4(u, protocol=253)),
        ("ICMP echo reply", "not_udp", f.v4(b"\0\0\xff\xff\0\0\0\0", protocol=1)),
        ("UDP header cut off", "bad_udp", f.v4(u[:6])),
        ("UDP length too small", "bad_udp", f.v4(f.udp(good, length=len(good)))),
        ("UDP length too large", "bad_udp", f.v4(f.udp(good, length=len(good) + 9))),
        ("IPv6 UDP without checksum", "bad_udp", f.v6(u)),
        ("wrong port", "wrong_port", f.v4(f.udp(good, port=f.port + 1))),
        ("no payload", "bad_length", f.v4(f.udp(b""))),
        ("one byte short", "bad_length", f.v4(f.udp(good[:-1]))),
        ("one byte long", "bad_length", f.v4(f.udp(good + b"\0"))),
        ("frame version", "bad_frame", f.v4(f.udp(changed(good, 0)))),
        ("frame type", "bad_frame", f.v4(f.udp(changed(good, 2)))),
        ("alpha of small order", "bad_point",
         f.v4(f.udp(good[:alpha] + bytes(32) + good[alpha + 32:]))),
        ("gamma changed", "bad_mac", f.v4(f.udp(changed(good, gamma)))),
        ("beta changed", "bad_mac", f.v4(f.udp(changed(good, gamma + 16 + 299, 1)))),
        ("seen before", "replay", f.v4(u)),
    ]


def settled(path, reason, at_least):
    end = time.monotonic() + 3
    while True:
        drops = telemetry(path, "/mix/drops")
        if drops[reason] >= at_least or time.monotonic() > end:
            return drops


# net_af_packet joins its fan-out group with PACKET_FANOUT_FLAG_DEFRAG: the kernel keeps IPv4
# fragments until the packet is whole, so that single ones never reach the relay
KEPT_BY_KERNEL = {"af_packet": {"first IPv4 fragment", "later IPv4 fragment"}}


def wrong(driver, path, interface, ip4, ip6, port, sample):
    with open(sample, "rb") as s:
        good = s.read()
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((interface, 0))
    # what a neighbour's kernel may multicast meanwhile
    noise = {"not_ours", "not_udp"}
    failed = 0
    forwarded = telemetry(path, "/mix/stats")["forwarded"]
    for name, reason, frame in wrong_frames(Frames(interface, ip4, ip6, port), good):
        before = telemetry(path, "/mix/drops")
        for _ in range(EACH):
            raw.send(frame)
        kept = name in KEPT_BY_KERNEL.get(driver, ())
        if kept:
            time.sleep(0.3)
        after = settled(path, reason, before[reason] + (0 if kept else EACH))
        grown = {k: after[k] - before[k] for k in after if after[k] != before[k]}
        if kept:
            print(f"--   {name}: kept by the kernel (fan-out with defragmentation)")
            failed += bool(set(grown) - noise)
            continue
        right = grown.get(reason, 0) == EACH or (reason in noise and grown.get(reason, 0) > EACH)
        right = right and set(grown) <= noise | {reason}
        failed += not right
        print(f"{'ok  ' if right else 'FAIL'} {name}: {reason}" + ("" if right else f", but {grown}"))
    if telemetry(path, "/mix/stats")["forwarded"] != forwarded:
        print("FAIL a wrong packet was forwarded")
        failed += 1
    return 1 if failed else 0


def main(a):
    try:
        if a[:1] == ["can"] and len(a) == 2:
            return can(a[1])
        if a[:1] == ["ping"] and len(a) == 2:
            return ping(a[1])
        if a[:1] == ["capture"] and len(a) == 4:
            return capture(a[1], int(a[2]), a[3])
        if a[:1] == ["resend"] and len(a) == 4:
            return resend(a[1], int(a[2]), a[3])
        if a[:1] == ["wrong"] and len(a) == 8:
            return wrong(a[1], a[2], a[3], a[4], a[5], int(a[6]), a[7])
    except OSError as e:
        print(f"netlab.py {' '.join(a)}: {os.strerror(e.errno) if e.errno else e}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

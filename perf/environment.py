# SPDX-License-Identifier: BSD-3-Clause
"""What a measurement was made on and with, and how busy the machine was meanwhile."""
import os
import re
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# of /proc/cpuinfo's flags, those that choose a kernel here
KERNEL_FLAGS = ("sse4_1 aes sha_ni avx2 fma bmi2 avx512f avx512ifma avx512vl avx512bw avx512dq vaes "
                "hypervisor constant_tsc nonstop_tsc").split()


def read(path, default=""):
    try:
        with open(path, errors="replace") as f:
            return f.read().strip()
    except OSError:
        return default


def output(*command):
    try:
        r = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return r.stdout.strip() if r.returncode == 0 else ""


def cpu():
    text = read("/proc/cpuinfo")

    def field(name):
        m = re.search(rf"^{name}\s*: (.*)$", text, re.M)
        return m.group(1) if m else "unknown"

    flags = field("flags").split()
    return {"cpu_model": field("model name"), "cpu_family_model_stepping":
            "/".join(field(f) for f in ("cpu family", "model", "stepping")),
            "microcode": field("microcode"), "cpu_flags": [f for f in KERNEL_FLAGS if f in flags],
            "cores": len(os.sched_getaffinity(0)), "cores_online": os.cpu_count(),
            "cache": {d: f"{read(f'/sys/devices/system/cpu/cpu0/cache/{d}/level')} "
                         f"{read(f'/sys/devices/system/cpu/cpu0/cache/{d}/type')} "
                         f"{read(f'/sys/devices/system/cpu/cpu0/cache/{d}/size')}"
                      for d in ("index0", "index1", "index2", "index3")
                      if os.path.isdir(f"/sys/devices/system/cpu/cpu0/cache/{d}")},
            "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                             "not visible (virtual machine?)"),
            "smt": read("/sys/devices/system/cpu/smt/control", "unknown"),
            "hypervisor": "yes" if "hypervisor" in flags else "no",
            "isolated_cores": read("/sys/devices/system/cpu/isolated") or "none"}


def compiler(program):
    """What the binary itself says: its .comment section."""
    try:
        with open(program, "rb") as f:
            found = sorted(set(re.findall(rb"(?:GCC: \([^)]*\) [0-9.]+|clang version [0-9.]+)", f.read())))
    except OSError:
        return "unknown"
    return ", ".join(s.decode().replace("GCC: ", "gcc ") for s in found) or "unknown"


def ipsec_mb():
    header = read("/usr/include/intel-ipsec-mb.h")
    m = re.search(r'#define\s+IMB_VERSION_STR\s+"([^"]*)"', header)
    return m.group(1) if m else "unknown"


def environment(build, program):
    git = output("git", "rev-parse", "--short=10", "HEAD") or "unknown"
    dirty = bool(output("git", "status", "--porcelain", "--untracked-files=no"))
    env = cpu()
    env.update({
        "kernel": " ".join(os.uname()[i] for i in (0, 2, 3)),
        "memory_mib": int(re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo") or "MemTotal: 0").group(1)) // 1024,
        "hugepages": read("/proc/sys/vm/nr_hugepages", "0"),
        "transparent_hugepages": read("/sys/kernel/mm/transparent_hugepage/enabled", "unknown"),
        "compiler": compiler(program), "compiler_flags": read(os.path.join(build, "perf", "flags"), "unknown"),
        "dpdk": output("pkg-config", "--modversion", "libdpdk") or "unknown",
        "libsodium": output("pkg-config", "--modversion", "libsodium") or "unknown",
        "ipsec_mb": ipsec_mb(),
        "git": git + ("+changes" if dirty else ""), "git_hash": git, "git_dirty": dirty})
    return env


class Noise:
    """From start to stop: what else ran. Percent of all cores' time."""

    def __init__(self):
        self.ticks, self.own, self.wall = self.sample()

    @staticmethod
    def sample():
        # user nice system idle iowait irq softirq steal; guests are in user
        ticks = [int(v) for v in read("/proc/stat", "cpu 0 0 0 0 0 0 0 0").split("\n")[0].split()[1:9]]
        t = os.times()
        return ticks, t.children_user + t.children_system + t.user + t.system, time.monotonic()

    def stop(self):
        """Others' share is what was busy but was not ours; steal is what the hypervisor took."""
        ticks, own, wall = self.sample()
        d = [b - a for a, b in zip(self.ticks, ticks)]
        hz, cores, wall = os.sysconf("SC_CLK_TCK"), os.cpu_count() or 1, wall - self.wall
        capacity = max(wall * cores, 1e-9)
        busy = (sum(d) - d[3] - d[4] - d[7]) / hz
        return {"seconds": round(wall, 3), "load_average": round(os.getloadavg()[0], 2),
                "others_percent": round(max(0.0, 100 * (busy - (own - self.own)) / capacity), 2),
                "steal_percent": round(100 * d[7] / hz / capacity, 2)}


def summary(parts):
    """One verdict about all programs of a session, each weighted by its time."""
    total = sum(p["seconds"] for p in parts) or 1e-9

    def mean(field):
        return sum(p[field] * p["seconds"] for p in parts) / total

    others, steal = mean("others_percent"), mean("steal_percent")
    worst = max((p["others_percent"] for p in parts), default=0)
    quiet = others < 3 and steal < 1
    text = (f"{'quiet' if quiet else 'busy'}: other programs had {others:.1f} % of the cores' time (at worst "
            f"{worst:.1f} % during one benchmark), the hypervisor took {steal:.1f} %")
    return {"quiet": quiet, "others_percent": round(others, 2), "others_percent_worst": round(worst, 2),
            "steal_percent": round(steal, 2), "text": text,
            "load_average_most": max((p["load_average"] for p in parts), default=0)}

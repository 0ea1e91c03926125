"""What a hostile run does, in a Python of the machine's: it has something to lose, and tries to get at the others'.

Not imported: its text is the command of a run. It talks to the test over a socket on the loopback interface, which runs
share in every isolation: it says what it has, is told what the other one has, and says what it got.
"""

# ruff: noqa: PTH101, PTH104, PTH118, PTH119, PTH120, PTH123, PTH208, S108 -- close to the system calls

import ctypes
import json
import os
import signal
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
SECRET = os.environ["SECRET"]
KEYCTL, ADD_KEY = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(os.uname().machine, (None, None))
got = []


def attempt(name, try_it):
    """Note what could be done; anything but a plain no is a success."""
    try:
        found = try_it()
    except (OSError, ValueError):
        return
    if found not in (None, b"", "", [], False, -1):
        got.append(name)


def read(path):
    with open(path, "rb") as file:
        return file.read(4096)


def write(path):
    with open(path, "ab") as file:
        file.write(b"planted")
    return True


def read_memory(pid, address):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(address)
        return memory.read(8)


def read_other_memory(pid, address):
    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    own = ctypes.create_string_buffer(8)
    here, there = Part(ctypes.addressof(own), 8), Part(address, 8)
    return libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) == 8


def attach(pid):
    if libc.ptrace(16, pid, None, None) != 0:
        return False
    os.waitpid(pid, 0)
    return libc.ptrace(17, pid, None, None) == 0


def take_descriptor(pid):
    handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
    return handle >= 0 and libc.syscall(438, handle, 0, 0) >= 0


def own_things():
    """Make one of everything that could be got at."""
    for name in ("HOME", "TMPDIR", "ENV0_ROOT_DIR"):
        with open(os.path.join(os.environ[name], "mine"), "w") as file:
            file.write(SECRET)
        os.chmod(os.path.join(os.environ[name], "mine"), 0o644)
    shared = f"/dev/shm/{SECRET}"
    with open(shared, "w") as file:
        file.write(SECRET)
    segment = libc.shmget(0, 4096, 0o1600)
    libc.shmat.restype = ctypes.c_void_p
    place = libc.shmat(segment, None, 0)
    if place not in (None, ctypes.c_void_p(-1).value):
        ctypes.memmove(place, SECRET.encode(), len(SECRET))
    queue = libc.msgget(0, 0o1600)
    key = -1
    if KEYCTL is not None:
        text = SECRET.encode()
        key = libc.syscall(ADD_KEY, b"user", text, text, len(text), -4)
        libc.syscall(ADD_KEY, b"user", b"of-the-session", text, len(text), -3)
    buffer = ctypes.create_string_buffer(SECRET.encode())
    return buffer, {
        "address": ctypes.addressof(buffer),
        "root": os.environ["ENV0_ROOT_DIR"],
        "home": os.environ["HOME"],
        "tmp": os.environ["TMPDIR"],
        "shared": shared,
        "segment": segment,
        "queue": queue,
        "key": key,
        "uid": os.getuid(),
    }


def attack_process(name, pid, address):
    for what in ("environ", "maps", "auxv", "stack", "personality", "syscall"):
        attempt(f"{name}: {what}", lambda what=what: read(f"/proc/{pid}/{what}"))
    for what in ("cwd/", "root/", "fd", "map_files"):
        attempt(f"{name}: {what}", lambda what=what: os.listdir(f"/proc/{pid}/{what}"))
    attempt(f"{name}: mem", lambda: read_memory(pid, address))
    attempt(f"{name}: process_vm_readv", lambda: read_other_memory(pid, address))
    attempt(f"{name}: ptrace", lambda: attach(pid))
    attempt(f"{name}: pidfd_getfd", lambda: take_descriptor(pid))
    attempt(f"{name}: signal", lambda: os.kill(pid, 0) is None)
    attempt(f"{name}: stop", lambda: os.kill(pid, signal.SIGCONT) is None)
    attempt(f"{name}: priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19) is None)


def read_segment(number, secret):
    place = libc.shmat(number, None, 0o10000)
    return place not in (None, 2**64 - 1) and secret in ctypes.string_at(place, 64)


def attack_things(other, secret, mine):
    for place in ("root", "home", "tmp"):
        attempt(f"file in {place}", lambda place=place: read(os.path.join(other[place], "mine")))
        attempt(f"write into {place}", lambda place=place: write(os.path.join(other[place], "planted")))
    run = os.path.dirname(other["root"])
    attempt("list of the run", lambda: os.listdir(run))
    attempt("list of all runs", lambda: os.path.basename(run) in os.listdir(os.path.dirname(run)))
    attempt("scripts", lambda: read(os.path.join(run, "scripts", "1.sh")))
    attempt("rename", lambda: os.rename(other["root"], other["root"] + "2") is None)
    attempt("file in /dev/shm", lambda: read(other["shared"]))
    attempt("System V segment", lambda: read_segment(other["segment"], secret))
    if other["segment"] != mine["segment"]:  # in a namespace of its own, the same number is its own segment
        attempt("System V segment's end", lambda: libc.shmctl(other["segment"], 0, None) == 0)
    if other["queue"] != mine["queue"]:
        attempt("System V queue's end", lambda: libc.msgctl(other["queue"], 0, None) == 0)
    if KEYCTL is not None and other["key"] > 0:
        into = ctypes.create_string_buffer(256)
        attempt("key", lambda: libc.syscall(KEYCTL, 11, other["key"], into, 256) > 0)
        attempt("key's end", lambda: libc.syscall(KEYCTL, 21, other["key"]) == 0)


def attack_everybody(other_secret):
    """Read whatever there is of any process, as far as it is shown, and look for the other's secret in it."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        for what in ("environ", "cmdline"):
            attempt(f"{what} of somebody", lambda name=name, what=what: other_secret in read(f"/proc/{name}/{what}"))
    if KEYCTL is not None:
        into = ctypes.create_string_buffer(4096)
        for ring in (-3, -4, -5):
            size = libc.syscall(KEYCTL, 11, ring, into, 4096)
            numbers = [int.from_bytes(into.raw[at : at + 4], sys.byteorder) for at in range(0, max(size, 0), 4)]
            for number in numbers:
                into_key = ctypes.create_string_buffer(256)
                attempt(
                    "key of a shared ring",
                    lambda number=number, into_key=into_key: (
                        libc.syscall(KEYCTL, 11, number, into_key, 256) > 0 and other_secret in into_key.raw
                    ),
                )


def main():
    kept, mine = own_things()
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 60) as test, test.makefile("rw") as talk:
        talk.write(json.dumps(mine) + "\n")
        talk.flush()
        orders = json.loads(talk.readline())
        for name, pid in orders["pids"].items():
            attack_process(name, pid, orders["other"]["address"])
        for path in orders["files"]:
            attempt(path, lambda path=path: read(path))
            attempt(f"list {path}", lambda path=path: os.listdir(path))
        secret = orders["secret"].encode()
        attack_things(orders["other"], secret, mine)
        attack_everybody(secret)
        talk.write(json.dumps(got) + "\n")
        talk.flush()
        talk.readline()
    return kept


main()

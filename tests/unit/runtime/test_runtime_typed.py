"""Decoding from several threads at the first use of a type."""

import subprocess
import sys

FIRST_USE_IN_TWO_THREADS = """
import sys, threading, types
from mailwright.runtime.typed import converted, unpacked
import msgspec
sys.setswitchinterval(1e-6)
SOURCE = '''
from __future__ import annotations
import msgspec
class A(msgspec.Struct):
    x: int
    b: B | None = None
    l: list[B] = []
class B(msgspec.Struct):
    a: A | None = None
    c: dict[str, A] = {}
'''
for n in range(300):
    module = sys.modules[f"m{n}"] = types.ModuleType(f"m{n}")
    exec(SOURCE, module.__dict__)
    value = {"x": 1, "b": {"a": {"x": 2}}}
    packed = msgspec.msgpack.encode(value)
    ways = [lambda: converted(value, module.A), lambda: unpacked(packed, module.A)]
    threads = [threading.Thread(target=way) for way in ways]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
assert unpacked(packed, module.A).b.a.x == 2
"""


def test_two_threads_may_meet_at_the_first_use_of_a_type() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FIRST_USE_IN_TWO_THREADS], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr

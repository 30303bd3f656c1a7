"""What the last bits of an answer depend on: ONNX Runtime's version, and which instructions the CPU has for it."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
# What ONNX Runtime chooses its kernels by, on x86 and on ARM.
INSTRUCTIONS = (
    *("avx", "avx2", "fma", "avx512f", "avx512dq", "avx512vl", "avx512bw", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
)


@cache
def runs_on() -> str:
    """Return this machine's class in one line: with the same one, and one thread, a graph gives the same bits."""
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}, {' '.join([platform.machine(), *instructions()])}"


def instructions(source: Path = CPU_INFO) -> list[str]:
    """Return the instruction sets of the CPU that matter here; none where the system does not tell."""
    try:
        text = source.read_text()
    except OSError:
        return []
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    known = set(found[1].split()) if found else set()
    return [name for name in INSTRUCTIONS if name in known]

from __future__ import annotations

import platform
from pathlib import Path

import onnxruntime
import pytest

from aimass.serving.machine import instructions, runs_on


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("model name\t: x\nflags\t\t: fpu sse avx2 fma avx512f popcnt\n\nflags\t\t: fpu\n", ["avx2", "fma", "avx512f"]),
        ("Features\t: fp asimd sve2 i8mm\n", ["asimd", "i8mm", "sve2"]),
        ("processor\t: 0\n", []),
    ],
)
def test_instructions_are_those_that_kernels_are_chosen_by(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert instructions(tmp_path / "cpuinfo") == found


def test_a_system_that_does_not_tell_has_none(tmp_path: Path) -> None:
    assert instructions(tmp_path / "nothing") == []


def test_the_machine_is_told_in_one_line() -> None:
    assert runs_on().startswith(f"ONNX Runtime {onnxruntime.__version__}, {platform.machine()}")

"""The processor is asked, not assumed, what it can do."""

from pathlib import Path

import pytest

from function import processor
from function.processor import float_instructions, int8_instructions


@pytest.mark.parametrize(
    ("flags", "for_int8", "for_floats"),
    [
        (
            "fpu sse2 avx2 fma avx512f avx512bw avx512_vnni avx512_bf16 amx_bf16 amx_int8",
            "amx_int8",
            "amx_bf16",
        ),
        ("fpu avx2 avx512f avx512bw avx512_vnni avx512_bf16", "avx512_vnni", "avx512_bf16"),
        ("fpu sse2 avx2 fma avx_vnni", "avx_vnni", "avx2"),
        ("fpu sse2 avx2 fma avx512f avx512bw", "", "avx512f"),
        ("fpu sse2 avx2 fma not_avx_vnni", "", "avx2"),
        ("fpu sse2", "", ""),
        ("", "", ""),
    ],
)
def test_the_best_instructions_are_named(
    flags: str, for_int8: str, for_floats: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\n" * 2)
    monkeypatch.setattr(processor, "CPUINFO", information)
    assert int8_instructions() == for_int8
    assert float_instructions() == for_floats


def test_where_nobody_can_be_asked_none_is_assumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "nothing")
    assert int8_instructions() == float_instructions() == ""

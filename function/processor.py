"""What this machine's processor can do."""

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

# Products of 8-bit integers, summed in 32 bits, best first. Processors without them saturate.
INT8_INSTRUCTIONS = ("amx_int8", "avx512_vnni", "avx_vnni")


def int8_instructions() -> str:
    """Return the best instructions for int8 that the processor has; "" if none is known.

    OpenVINO names INT8 among the capabilities of every processor, so the kernel is asked instead.
    """
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:  # no Linux
        return ""
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return next((name for name in INT8_INSTRUCTIONS if name in flags), "")

"""The fuzzer's process: photos are decoded here until one breaks the promise, or the process.

    python -m tests.fuzz.decode CORPUS SEEDS -runs=N …     libFuzzer's options

The promise: pixels, or an error that a caller may see. Coverage is of Python, Pillow's readers
among it; the decoders in C are not instrumented, and are watched by their crashes alone.
"""

import resource
import struct
import sys
import warnings
import zlib

import atheris

with atheris.instrument_imports(include=["function", "PIL"]):
    from function.errors import FunctionError
    from function.photo import PhotoLimits, load_pixels
    from function.region import Region

SIZE = 32
# Small, so that a run takes little: what is larger is tried by the tests of hostile photos.
LIMITS = PhotoLimits(max_pixels=250_000)
MAX_MEMORY_BYTES = 3_000_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_CORNER = Region(0.1, 0.2, 0.7, 0.9, normalized=True)


def decode(data: bytes) -> None:
    """Raise what nobody promised."""
    for region in (None, _CORNER):
        try:
            pixels = load_pixels(data, SIZE, LIMITS, region)
        except FunctionError as error:
            assert error.http_status in (400, 413, 415), error  # noqa: PT017 - either outcome is right
        else:
            assert pixels.shape == (SIZE, SIZE, 3), pixels.shape


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """As libFuzzer does, but a PNG's checksums are made right, else no chunk would be looked at."""
    changed: bytes = atheris.Mutate(data, max_size)
    return with_checksums(changed)[:max_size] if changed.startswith(_PNG) else changed


def with_checksums(png: bytes) -> bytes:
    parts, position = [_PNG], len(_PNG)
    while position + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, position)
        chunk = png[position + 4 : position + 8 + length]
        parts.append(struct.pack(">I", length) + chunk + struct.pack(">I", zlib.crc32(chunk)))
        position += 12 + length
    return b"".join(parts) + png[position:]


def main() -> None:
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    atheris.Setup(sys.argv, decode, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

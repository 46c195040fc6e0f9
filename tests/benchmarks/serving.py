"""The real function over HTTP beside the servers that one would write instead.

    python -m tests.benchmarks.serving [--seconds 8] [--starts 3] [--precision auto]

All find the same 60,502 rows with the same network (`shop.py`), from files, on the same photos: 64
different ones of 1024×768 and of 12 megapixels. The clients share the machine with the server.

- lookalike: functions-framework, as it is deployed.
- torch: Flask under gunicorn, one process of eight threads, Pillow, exact FAISS; two precisions.
- ONNX Runtime: FastAPI under uvicorn, Pillow, hnswlib.

Cold start is from the start of the process to the first answer; memory is what the processes alone
hold, and their share of what they hold together (PSS), after the load. From a bucket, the files of
a release count too, for they may lie on a disk in memory: whole, and their mapped pages not again.
"Alone" is decoding and network, called in this process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import IO, get_args

import numpy as np

import function
from function.embedder import open_embedder
from function.manifest import EMBEDDER_ONNX
from function.photo import load_pixels
from function.release import current_release_id, read_manifest, release_prefix
from function.storage import open_storage
from tests.benchmarks.footprint import memory_mb
from tests.benchmarks.http_load import Load, connect, load, post
from tests.benchmarks.peers import PYTHON, run_peer
from tests.benchmarks.quality import as_torchvision
from tests.benchmarks.shop import IMAGE_SIZE, Shop, open_shop, shop_root
from tests.benchmarks.timing import Row, report, time_calls
from tests.gcs import make_bucket, run_gcs, upload_folder
from tests.ports import free_port
from trainer.model.config import PREPROCESSING
from trainer.model.parameters import to_flat
from trainer.release.precision import PrecisionChoice

SIZES = {"1024×768": (1024, 768), "12 megapixels": (4032, 3024)}
PHOTOS = 64
RATIOS = ("cold start s", "1 client p50 ms", "12 MP p50 ms", "4 clients/s", "MB")
PEERS = Path(__file__).with_name("peers")
THREADS = 8


@dataclass(frozen=True)
class Server:
    """What is started, with the port after its last argument."""

    name: str
    command: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


def framework(
    name: str, source: Path, target: str, environment: Mapping[str, str], threads: int = THREADS
) -> Server:
    command = [sys.executable, "-m", "functions_framework", "--target", target]
    command += ["--source", str(source), "--host", "127.0.0.1", "--port"]
    return Server(name, command, {"WORKERS": "1", "THREADS": str(threads), **environment})


def ours(root: str, cache: Path, threads: int = THREADS) -> Server:
    source = Path(function.__file__).with_name("main.py")
    environment = {"LOOKALIKE_ROOT": root, "LOOKALIKE_CACHE_DIR": str(cache)}
    return framework("lookalike", source, "lookalike", environment, threads)


def peers(folder: Path) -> list[Server]:
    gunicorn = [str(PYTHON), "-m", "gunicorn", "--workers", "1", "--threads", str(THREADS)]
    gunicorn += ["--chdir", str(PEERS), "serve_torch:app", "--bind"]
    uvicorn = [str(PYTHON), "-m", "uvicorn", "--app-dir", str(PEERS), "--log-level", "error"]
    uvicorn += ["serve_onnx:app", "--port"]
    files = {"PEER_FOLDER": str(folder)}
    return [
        Server("torch float32, FAISS", gunicorn, files | {"PEER_DTYPE": "float32"}),
        Server("torch bfloat16, FAISS", gunicorn, files | {"PEER_DTYPE": "bfloat16"}),
        Server("ONNX Runtime, hnswlib", uvicorn, files),
    ]


def write_peer_files(shop: Shop, root: Path) -> Path:
    """What the peers' servers load, beside the release that ours does."""
    folder = root.parent / "peers"
    folder.mkdir(exist_ok=True)
    release_id = current_release_id(open_storage(root))
    assert release_id is not None
    program = root / release_prefix(release_id) / EMBEDDER_ONNX
    (folder / EMBEDDER_ONNX).write_bytes(program.read_bytes())
    if (folder / "products.json").exists():
        return folder
    flat = {name: np.array(value) for name, value in to_flat(shop.model).items()}
    # torch's epsilon is 1e-5.
    for name in flat:
        if name.endswith("norm/var"):
            flat[name] += shop.model.config.norm_epsilon - 1e-5
    how = PREPROCESSING[shop.model.config.preprocessing]
    if how.bgr:
        flat["stem/conv/kernel"] = flat["stem/conv/kernel"][:, :, ::-1]
    mean = np.asarray(how.mean, np.float32)
    np.savez(folder / "torch.npz", mean=mean, **as_torchvision(flat))
    run_peer("index_files", shop.folder / "rows.npy", folder)
    listed = [[photo.product_id, photo.image_url] for photo in shop.catalog().photos]
    (folder / "products.json").write_text(json.dumps(listed))
    return folder


@contextmanager
def running(
    server: Server, photo: bytes, errors: IO[str] | int = subprocess.DEVNULL
) -> Iterator[tuple[int, int, float]]:
    """Port, process id, and the seconds from its start to the first answer."""
    port = free_port()
    *command, last = server.command
    address = f"127.0.0.1:{port}" if last == "--bind" else str(port)
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, last, address],
        env=os.environ | server.environment,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
    try:
        while True:
            connection = connect(port)
            try:
                post(connection, photo)
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 120:
                    raise
                time.sleep(0.005)
            finally:
                connection.close()
        yield port, process.pid, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(30)


def cold_start(server: Server, photo: bytes, starts: int) -> float:
    """The median of some; the first of all files is read from disk by none."""
    seconds = []
    for _ in range(starts):
        with running(server, photo) as (_, _, taken):
            seconds.append(taken)
    return median(seconds)


def best_products(port: int, photos: Sequence[bytes]) -> list[str]:
    """The first result for each photo."""
    connection = connect(port)
    answers = [post(connection, photo) for photo in photos]
    connection.close()
    # A peer tells its results, and of a product its id, without more around them.
    results = [answer.get("productSearchResults", answer)["results"] for answer in answers]
    products = [found[0]["product"] for found in results]
    return [
        product if isinstance(product, str) else product["name"].removeprefix("products/")
        for product in products
    ]


def measure(
    server: Server, photos: Mapping[str, list[bytes]], seconds: float, starts: int
) -> tuple[Row, dict[str, Load], list[str]]:
    small, large = photos.values()
    started = cold_start(server, small[0], starts)
    with running(server, small[0]) as (port, process, _):
        load(port, small, 1, 1.0)
        best = best_products(port, small)
        found = {
            "1": load(port, small, 1, seconds),
            "12 MP": load(port, large, 1, seconds),
            "4": load(port, small, 4, seconds),
        }
        memory = memory_mb(process)
    one, huge, four = found.values()
    row: Row = {
        "server": server.name,
        "cold start s": started,
        "1 client p50 ms": one.timing.p50,
        "p99": one.timing.p99,
        "12 MP p50 ms": huge.timing.p50,
        "4 clients/s": four.rate,
        "p50": four.timing.p50,
        "p99 ": four.timing.p99,
        "MB": memory,
    }
    return row, found, best


def from_gcs(here: Path, photos: Sequence[bytes], starts: int, scratch: Path) -> Row:
    """Cold start and memory with the release on an emulator's bucket and an empty cache."""
    with run_gcs(scratch / "gcs.log") as url:
        os.environ |= {"STORAGE_EMULATOR_HOST": url, "TENSORSTORE_GCS_HTTP_URL": url}
        bucket = make_bucket(url)
        upload_folder(here, bucket)
        seconds, memory, size = [], [], 0.0
        for number in range(starts):
            cache = scratch / f"cache-{number}"
            server = ours(bucket, cache)
            with running(server, photos[0]) as (port, process, taken):
                load(port, photos, 4, 2.0)
                seconds.append(taken)
                size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
                memory.append(memory_mb(process, apart_from=cache) + size)
        for name in ("STORAGE_EMULATOR_HOST", "TENSORSTORE_GCS_HTTP_URL"):
            del os.environ[name]
    return {
        "from": "an emulated bucket, empty cache",
        "cold start s": median(seconds),
        "MB, files included": median(memory),
        "files MB": size,
    }


def alone_ms(root: Path, photos: Sequence[bytes]) -> tuple[float, float]:
    """Decoding and the network, called in this process and nothing else, p50 in ms."""
    storage = open_storage(root)
    release_id = current_release_id(storage)
    assert release_id is not None
    precision = read_manifest(storage, release_id).precision_here("openvino")
    embedder = open_embedder(root / release_prefix(release_id), "openvino", precision=precision)
    pixels = load_pixels(photos[0], IMAGE_SIZE)[None]
    turn = iter(range(10**9))
    decode, network = time_calls(
        lambda: load_pixels(photos[next(turn) % len(photos)], IMAGE_SIZE),
        lambda: embedder.embed(pixels),
        seconds=3,
    )
    return decode.p50, network.p50


def floor_ms(photos: Sequence[bytes], seconds: float) -> float:
    """The same posts to a function that does nothing with them, p50."""
    source = Path(__file__).with_name("nothing.py")
    with running(framework("nothing", source, "nothing", {}), photos[0]) as (port, _, _):
        return load(port, photos, 1, seconds).timing.p50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--starts", type=int, default=3, help="cold starts, of which the median")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument("--precision", choices=get_args(PrecisionChoice), default="auto")
    arguments = parser.parse_args()
    shop = open_shop()
    root = shop_root(arguments.precision)
    photos = {name: shop.query_photos(size, PHOTOS) for name, size in SIZES.items()}
    some = photos["1024×768"]
    others = [] if arguments.alone else peers(write_peer_files(shop, root))
    server = ours(str(root), shop.folder / "cache")
    measured = [measure(server, photos, arguments.seconds, arguments.starts)]
    # At once, before the machine's pace is another; and in a process that ends: of the engine that
    # two hold, each would seem to hold half.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        decode, network = apart.submit(alone_ms, root, some).result()
    floor = floor_ms(some, arguments.seconds)
    measured += [measure(peer, photos, arguments.seconds, arguments.starts) for peer in others]
    rows, loads, best = zip(*measured, strict=True)
    stages = loads[0]
    report("serving", "HTTP search, ResNet-50 at 224 px, 60,502 × 512", list(rows))
    report(
        "serving-ratios",
        "÷ ours; and of how many photos the best product is ours",
        [
            {
                "server": row["server"],
                **{name: float(row[name] or 0) / float(rows[0][name] or 1) for name in RATIOS},
                "same product": float(np.mean([a == b for a, b in zip(of, best[0], strict=True)])),
            }
            for row, of in zip(rows, best, strict=True)
        ],
    )
    with tempfile.TemporaryDirectory() as scratch:
        report(
            "serving-bucket",
            "cold start from storage",
            [from_gcs(root, some, arguments.starts, Path(scratch))],
        )
    alone = decode + network
    report(
        "serving-stages",
        f"one query's stages, ms. Limit, 1024×768: decoding alone {decode:.2f} + network alone "
        f"{network:.2f}; the framework with nothing to do {floor:.2f}. p50 ÷ (decoding + network) "
        f"{stages['1'].timing.p50 / alone:.2f}, with the framework "
        f"{stages['1'].timing.p50 / (alone + floor):.2f}",
        [
            {
                "load": name,
                **found.stages,
                "HTTP and clients": found.timing.p50 - sum(found.stages.values()),
                "p50": found.timing.p50,
            }
            for name, found in stages.items()
        ],
    )


if __name__ == "__main__":
    main()

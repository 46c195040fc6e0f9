"""The command line, as a shell or a script uses it: one process for each command."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from trainer.cli import main

COMMANDS = (
    *("demo", "data", "train", "evaluate", "report", "sweep", "publish", "serve", "search"),
    *("releases", "smoke", "key"),
)
TINY = (
    *("--architecture", "resnet18", "--width", "4", "--embedding-dim", "8", "--image-size", "32"),
    *("--products-per-batch", "4", "--photos-per-product", "2", "--steps", "3"),
    *("--learning-rate", "1e-3", "--holdout", "0.5", "--seed", "1"),
)


def lookalike(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def status_of(*arguments: str) -> int | str | None:
    """The exit status of a command run in this process."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code


def answer(*arguments: str | Path) -> Any:
    """What a command prints with --json; anything else on stdout fails here."""
    done = lookalike(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Shop:
    """A small catalogue, a run on it, and its release, made by the commands."""

    catalog: Path
    run: Path
    root: Path
    summary: Any
    metrics: Any
    release: Any


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    catalog, run, root = folder / "catalog", folder / "run", folder / "root"
    made = lookalike(
        *("data", "studio", "--out", catalog, "--products", "16"),
        *("--photos-per-product", "4", "--image-size", "48"),
    )
    assert made.returncode == 0, made.stderr
    return Shop(
        catalog,
        run,
        root,
        summary=answer("train", "--catalog", catalog, "--run", run, *TINY),
        metrics=answer("evaluate", "--run", run, "--catalog", catalog),
        release=answer("publish", "--run", run, "--catalog", catalog, "--root", root),
    )


def test_help_names_every_command_and_imports_no_framework() -> None:
    done = lookalike("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    probe = "import sys, trainer.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    probe += "assert not {'jax', 'flax', 'openvino', 'scann'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(command, "--help") == 0
    assert f"lookalike {command}" in capsys.readouterr().out


def test_train_offers_the_experiments_values_as_defaults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status_of("train", "--help")
    assert "(default: resnet50)" in capsys.readouterr().out
    status_of("train", "--experiment", "studio", "--help")
    assert "(default: resnet18)" in capsys.readouterr().out


def test_train_reports_its_steps(shop: Shop) -> None:
    assert shop.summary["steps"] == 3
    assert shop.summary["resumed_from"] is None


def test_the_same_train_command_again_has_nothing_to_do(shop: Shop) -> None:
    again = answer("train", "--catalog", shop.catalog, "--run", shop.run, *TINY)
    assert again["resumed_from"] == 3


def test_another_experiment_on_the_same_run_is_refused_with_the_difference(shop: Shop) -> None:
    done = lookalike(
        *("train", "--catalog", shop.catalog, "--run", shop.run, *TINY), "--clip-norm", "5"
    )
    assert done.returncode == 1
    assert "clip_norm: 10.0 in the run, 5.0 asked" in done.stderr
    assert "Traceback" not in done.stderr


def test_evaluate_answers_with_the_promised_names(shop: Shop) -> None:
    assert {"recall_at_1", "recall_at_5"} <= shop.metrics["query_to_catalog"].keys()
    assert {"recall_at_1", "map_at_r"} <= shop.metrics["leave_one_out"].keys()
    assert shop.metrics["products"] == 8


def test_evaluate_measures_the_release_beside_the_network(shop: Shop) -> None:
    told = answer("evaluate", "--run", shop.run, "--catalog", shop.catalog, "--root", shop.root)
    served = told["served"]
    assert served["release"] == shop.release["release_id"]
    assert {"trained", "export", "whole"} <= {step for step, at in served["steps"].items() if at}


def test_report_writes_a_page_and_answers_with_its_checks(shop: Shop, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    told = answer("report", shop.run, "--catalog", shop.catalog, "--out", out)
    assert told["report"] == str(out)
    assert all({"name", "found", "fine", "reason"} == check.keys() for check in told["checks"])
    assert "Hardest queries" in out.read_text()


def test_search_answers_as_the_function_would(shop: Shop) -> None:
    photo = shop.catalog / "images" / "studio-00003" / "0.jpg"
    body = answer("search", photo, "--root", shop.root)
    best, *_ = body["productSearchResults"]["results"]
    assert best["product"]["name"] == "products/studio-00003"
    assert best["score"] > 0.9
    assert Path(best["imageUrl"]).is_file()


def test_both_engines_find_the_same(shop: Shop) -> None:
    photo = shop.catalog / "images" / "studio-00005" / "3.jpg"
    openvino, jax = (
        answer("search", photo, "--root", shop.root, "--engine", engine)["productSearchResults"]
        for engine in ("openvino", "jax")
    )
    scores = [
        {result["product"]["name"]: result["score"] for result in body["results"]}
        for body in (openvino, jax)
    ]
    shared = scores[0].keys() & scores[1].keys()
    assert len(shared) >= 8
    assert all(abs(scores[0][name] - scores[1][name]) < 0.02 for name in shared)


@pytest.mark.slow
def test_a_release_can_be_rolled_back(shop: Shop, tmp_path: Path) -> None:
    first, root = shop.release["release_id"], tmp_path / "root"
    shutil.copytree(shop.root, root)
    second = answer("publish", "--run", shop.run, "--catalog", shop.catalog, "--root", root)
    listed = answer("releases", "list", "--root", root)
    assert [(r["release_id"], r["current"], r["previous"]) for r in listed] == [
        (second["release_id"], True, False),
        (first, False, True),
    ]
    back = answer("releases", "rollback", "--root", root)
    assert (back["before"], back["after"]) == (second["release_id"], first)
    assert answer("releases", "diff", second["release_id"], "--root", root)["b"] == first


def test_an_update_publishes_what_changed(shop: Shop, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(shop.root, root)
    changes = tmp_path / "changes.csv"
    photo = (shop.catalog / "images" / "studio-00003" / "0.jpg").absolute().as_uri()
    changes.write_text(
        f"product_id,image,change\nnew,{photo},add\nstudio-00004,,remove\n", encoding="utf-8"
    )
    told = answer("publish", "--update", changes, "--root", root)
    did = told["update"]
    assert (did["added"], did["removed"], did["embedded"]) == (1, 1, 1)
    newest, base = answer("releases", "list", "--root", root)
    assert (newest["release_id"], newest["base"]) == (told["release_id"], base["release_id"])
    assert newest["products"] == 16
    body = answer("search", photo.removeprefix("file://"), "--root", root)
    found = [each["product"]["name"] for each in body["productSearchResults"]["results"]]
    assert "products/new" in found[:2]
    assert "products/studio-00004" not in found


def test_publish_says_what_the_index_was_measured_to_do_and_where_the_curve_is(
    shop: Shop, tmp_path: Path
) -> None:
    assert shop.release["index"]["kind"] == "exact"
    assert shop.release["calibration"] is None
    done = lookalike("publish", "--run", shop.run, "--catalog", shop.catalog, "--root", tmp_path)
    told = " ".join(done.stderr.split())
    assert "Index exact, 0.0 MB: recall@10 1.000 in" in told
    (picture,) = tmp_path.glob("releases/*/tuning.png")
    assert str(picture) in told
    assert "Not calibrated, so no matchProbability: expected photos of 20 products" in told


@pytest.mark.usefixtures("hears_ctrl_c")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_opens_the_function_and_takes_it_along_when_it_ends(
    shop: Shop, end: signal.Signals
) -> None:
    port = free_port()
    command = [sys.executable, "-m", "trainer", "serve", "--root", str(shop.root)]
    with subprocess.Popen(
        [*command, "--port", str(port)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as server:
        assert server.stderr is not None
        try:
            url = f"http://127.0.0.1:{port}"
            assert any(url in line.decode() for line in server.stderr), "the URL was not printed"
            with urllib.request.urlopen(f"{url}/v1/index") as response:
                assert json.load(response)["counts"]["products"] == 16
        finally:
            server.send_signal(end)
            try:
                server.wait(timeout=20)
            finally:
                server.kill()
    assert server.returncode in (0, 128 + end)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the function still listens"


def test_a_release_that_cannot_be_served_ends_serve(shop: Shop, tmp_path: Path) -> None:
    shutil.copytree(shop.root, tmp_path / "root")
    for program in (tmp_path / "root").glob("releases/*/embedder.onnx"):
        program.write_bytes(b"damaged")
    done = lookalike("serve", "--root", tmp_path / "root", "--port", str(free_port()))
    assert done.returncode == 1
    assert "Lookalike is open" not in done.stderr
    assert "embedder.onnx" in done.stderr


def test_check_counts_bad_photos_and_lists_them(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(shop.catalog, tmp_path / "catalog")
    (tmp_path / "catalog" / "images" / "studio-00002" / "1.jpg").write_bytes(b"damaged")
    main(["data", "check", "catalog", "--json"])
    assert json.loads(capsys.readouterr().out)["bad_photos"] == 1
    assert "images/studio-00002/1.jpg" in (tmp_path / "bad_photos.csv").read_text()


def test_a_port_that_is_taken_is_named(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert status_of("serve", "--root", str(shop.root), "--port", port) == 1
    assert f"port {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("data", "check", "nowhere.csv"), "nowhere.csv"),
        (("train", "--catalog", "nowhere", "--run", "run"), "nowhere"),
        (("evaluate", "--run", "no-run", "--catalog", "{catalog}"), "is no run"),
        (("report", "no-run"), "is no run"),
        (("publish", "--run", "no-run", "--catalog", "{catalog}", "--root", "r"), "is no run"),
        (
            (
                *("publish", "--run", "r", "--catalog", "{catalog}", "--root", "r"),
                *("--false-match-rate", "1"),
            ),
            "--false-match-rate: expected above 0, below 1; found 1.0.",
        ),
        (
            ("publish", "--run", "r", "--catalog", "{catalog}", "--root", "r", "--recall", "1.1"),
            "--recall: expected above 0, at most 1; found 1.1.",
        ),
        (("publish", "--root", "{root}"), "Expected --run and --catalog, or --update"),
        (
            ("publish", "--update", "c.csv", "--run", "r", "--root", "{root}"),
            "--update keeps the current release's network",
        ),
        (
            ("publish", "--update", "c.csv", "--precision", "int8", "--root", "{root}"),
            "--update keeps the current release's program",
        ),
        (
            ("publish", "--update", "c.csv", "--ray-workers", "2", "--root", "{root}"),
            "--ray-address and --ray-workers are for --runner ray.",
        ),
        (
            (
                *("publish", "--update", "c.csv", "--root", "{root}"),
                *("--runner", "ray", "--ray-workers", "0"),
            ),
            "--ray-workers: expected 1 or more; found 0.",
        ),
        (("publish", "--update", "nowhere.csv", "--root", "{root}"), "nowhere.csv does not exist"),
        (("serve", "--root", "no-root"), "Expected a release"),
        (("search", "no.jpg", "--root", "{root}"), "Expected a photo"),
        (("search", "{catalog}/metadata.csv", "--root", "{root}"), "not an image"),
        (("releases", "promote", "never", "--root", "{root}"), "complete release never"),
        (("releases", "diff", "--root", "{root}"), "the current one alone"),
        (("releases", "rollback", "--root", "{root}"), "found none to go back to"),
        (("releases", "verify", "--root", "no-root"), "expected a current release; found none"),
        (("releases", "prune", "--root", "{root}", "--keep", "0"), "--keep: expected 1 or more"),
        (("train", "--experiment", "unknown", "--catalog", "c", "--run", "r"), "studio"),
    ],
)
def test_what_cannot_be_done_is_said_with_status_1(
    shop: Shop, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [text.format(catalog=shop.catalog, root=shop.root) for text in arguments]
    assert status_of(*filled) == 1
    assert told in capsys.readouterr().err


def test_wrong_options_are_named_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("train", "--catalgo", "x") == 2
    assert "--catalgo" in capsys.readouterr().err


@pytest.mark.slow
def test_sweep_gives_each_seed_and_their_deviation(shop: Shop, tmp_path: Path) -> None:
    found = answer(
        *("sweep", "--catalog", shop.catalog, "--out", tmp_path, *TINY[:-2], "--seeds", "1", "2")
    )
    recall = found["metrics"]["leave_one_out"]["recall_at_1"]
    assert found["seeds"] == [1, 2]
    assert recall["values"][0] == shop.metrics["leave_one_out"]["recall_at_1"]
    assert recall["deviation"] >= 0

"""`lookalike key`: what it prints is what the function takes."""

import json
from pathlib import Path

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from function.access import Access
from trainer.cli import main

ORIGINS = ("https://shop.example", "http://localhost:3000")


def test_the_printed_key_opens_what_the_printed_line_closes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["key", "shop-page", "--origins", *ORIGINS, "--json"])
    made = json.loads(capsys.readouterr().out)
    assert made["key"] not in made["line"]
    file = tmp_path / "keys"
    file.write_text(made["line"])
    for origin in ORIGINS:
        headers = {"X-Api-Key": made["key"], "Origin": origin}
        request = Request(EnvironBuilder(headers=headers).get_environ())
        assert Access(file).check(request) == made["name"] == "shop-page"


def test_two_keys_differ_and_people_see_both_parts(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for _ in range(2):
        main(["key", "backend"])
        seen.append(capsys.readouterr().out)
        assert "X-Api-Key" in seen[-1]
        assert "\n    backend " in seen[-1]
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["my shop"], "a name of 1 to 64"),
        (["shop", "--origins", "shop.example"], "origins like https://shop.example"),
        (["shop", "--origins", "*"], "no origins rather than *"),
    ],
)
def test_what_cannot_stand_in_the_file_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["key", *arguments])
    assert end.value.code == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert complaint in output.err

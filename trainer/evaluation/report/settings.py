"""What was trained, and on what: tables of the experiment's settings."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trainer.evaluation.report.material import Material
from trainer.page import Cell, Section, Table
from trainer.training.experiment import Experiment


def settings_section(material: Material) -> Section:
    """The catalogue, and every setting; those that differ from their default are marked."""
    usual = _flat(json.loads(json.dumps(asdict(Experiment()))))
    rows: list[tuple[Cell, ...]] = [
        (
            name.replace("_", " ").replace(".", ": "),
            _shown(value),
            "" if value == usual.get(name) else f"default {_shown(usual.get(name))}",
        )
        for name, value in _flat(material.settings).items()
    ]
    trained_on = material.trained_on
    catalogue = Table(
        ("catalogue", ""),
        [
            ("name", trained_on["name"]),
            ("photos", f"{trained_on['photos']:,}"),
            ("fingerprint", trained_on["fingerprint"]),
            ("run", material.url),
        ],
    )
    return Section("Settings", (catalogue, Table(("setting", "value", "changed"), rows)))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, Mapping)
            else {prefix + name: value}
        )
    return flat


def _shown(value: object) -> str:
    match value:
        case None:
            return "none"
        case float():
            return f"{value:g}"
        case list():
            return " to ".join(map(_shown, value))
    return str(value)

"""How JSON Schemas are written here."""

from typing import Any

type Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
REQUEST_ID: Schema = {**TEXT, "pattern": "^[A-Za-z0-9._-]{1,128}$"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}


def ref(name: str, kind: str = "schemas") -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def described(schema: Schema, text: str) -> Schema:
    """Return the schema with a description."""
    return {**schema, "description": text}


def items(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def structure(properties: dict[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has all of these properties but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}

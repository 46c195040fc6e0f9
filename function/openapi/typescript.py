"""The schemas as TypeScript: `python -m function.openapi.typescript` prints `web/wire.d.ts`."""

import json
import sys
from collections.abc import Iterator

from .document import document
from .schemas import Schema

_HEAD = """\
/**
 * What travels between a client and the function. Made from its OpenAPI document by
 * `make types`: change that instead.
 */
"""
_KINDS = {"integer": "number"}


def declarations() -> str:
    """Return the declarations of all schemas."""
    schemas = document()["components"]["schemas"]
    return "\n".join([_HEAD, *(_declaration(name, schema) for name, schema in schemas.items())])


def _declaration(name: str, schema: Schema) -> str:
    return f"{_comment(schema, '')}export type {name} = {_type(schema, '')};\n"


def _type(schema: Schema, indent: str) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return _union(map(json.dumps, schema.get("enum", [schema.get("const")])))
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        return _union(_type(one, indent) for one in alternatives)
    if "type" not in schema:
        return "unknown"
    if isinstance(schema["type"], list):
        return _union(_type({**schema, "type": one}, indent) for one in schema["type"])
    if schema["type"] == "array":
        return f"Array<{_type(schema['items'], indent)}>"
    if schema["type"] == "object":
        return _object(schema, indent)
    if schema.get("format") == "binary":
        return "Blob"
    kind = str(schema["type"])
    return _KINDS.get(kind, kind)


def _object(schema: Schema, indent: str) -> str:
    if "properties" not in schema:
        values = schema["additionalProperties"]
        return f"Record<string, {'unknown' if values is True else _type(values, indent)}>"
    inner = f"{indent}  "
    lines = [
        f"{_comment(item, inner)}{inner}{json.dumps(name) if '@' in name else name}"
        f"{'' if name in schema['required'] else '?'}: {_type(item, inner)};\n"
        for name, item in schema["properties"].items()
    ]
    return f"{{\n{''.join(lines)}{indent}}}"


def _union(types: Iterator[str]) -> str:
    return " | ".join(types)


def _comment(schema: Schema, indent: str) -> str:
    text = schema.get("description")
    return f"{indent}/** {text} */\n" if text else ""


if __name__ == "__main__":
    sys.stdout.write(declarations())

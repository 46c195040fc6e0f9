"""The whole description."""

from .answers import ANSWERS
from .errors import ERROR_RESPONSES, ERRORS
from .fields import REQUESTS
from .operations import HEADERS, PATHS, SECURITY
from .schemas import Schema


def document() -> Schema:
    """Return the OpenAPI document; addresses in it are relative to its own."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lookalike",
            "version": "1",
            "summary": "Photo in, the shop's similar products out.",
            "description": (
                "Field names are lowerCamelCase, errors follow AIP-193. Whoever comes from "
                "Google's Vision Product Search finds its names and its filter language here."
            ),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "tags": [
            {"name": "search", "description": "The products that look most like a photo."},
            {"name": "catalogue", "description": "The products and their photos."},
            {"name": "operations", "description": "How the function is, and what it serves."},
        ],
        "security": [{"apiKey": []}, {"apiKeyInAddress": []}, {}],
        "paths": PATHS,
        "components": {
            "schemas": {**REQUESTS, **ANSWERS, **ERRORS},
            "responses": ERROR_RESPONSES,
            "headers": HEADERS,
            "securitySchemes": SECURITY,
        },
    }

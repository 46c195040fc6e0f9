"""A function that reads the body and answers at once: what the framework and the clients take."""

from flask import Request


def nothing(request: Request) -> dict[str, int]:
    return {"bytes": len(request.get_data(cache=False))}

"""`python -m description`: writes the documents to the folder docs."""

from pathlib import Path

import msgspec

from description.asyncapi import asyncapi
from description.openapi import openapi

DOCS = Path(__file__).parent.parent / "docs"

DOCUMENTS = {"asyncapi.json": asyncapi, "openapi.json": openapi}


def written(name: str) -> bytes:
    """A document as its file has it."""
    return msgspec.json.format(msgspec.json.encode(DOCUMENTS[name]()), indent=1) + b"\n"


def main() -> None:
    """Write them all."""
    for name in DOCUMENTS:
        (DOCS / name).write_bytes(written(name))


if __name__ == "__main__":
    main()

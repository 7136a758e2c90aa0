"""Recordings as they are uploaded: .asi bytes as base64 in a JSON document, block by block.

What an .asi file holds is not published. Known is one prefix, of the API's documentation: "ASI", and nine bytes later
the text "ASI V2". Nothing more is read.

Source: Insiders API 1.22, "REST Endpoints", the operation that loads .asi files.
"""

from binascii import b2a_base64

from insiders_codecs.errors import DecodeError

MAGIC = b"ASI"
HEAD_BYTES = 16
"""As much of a file as is looked at."""

BLOCK_BYTES = 57 * 1024
"""A block of whole groups of three bytes, so that no byte waits for those of the next; others will do."""

_GROUP = 3  # bytes that base64 makes four characters of
_V2 = b"ASI V2"
_OPENING, _CLOSING = b'{"asi_b64":"', b'"}'


def check_header(head: bytes) -> bool:
    """Look whether a file may be a recording.

    Args:
        head: How it begins, 16 bytes if it has as many.

    Returns:
        Whether "ASI V2" stands where it usually does.

    Raises:
        DecodeError: If it does not begin as every recording does.
    """
    if not head.startswith(MAGIC):
        raise DecodeError('a recording begins with "ASI", and this does not')
    return _V2 in head[:HEAD_BYTES]


def body_size(size: int) -> int:
    """Bytes of the body that carries a file of this size."""
    return len(_OPENING) + 4 * -(-size // _GROUP) + len(_CLOSING)


class AsiBody:
    """The body ``{"asi_b64":"…"}`` of one file: `head`, then `feed` with every block, then `end`.

    What all of them return is the body. It is no JSON before `end`, so whoever has not got that has got nothing.
    """

    def __init__(self) -> None:
        self._carry = b""

    def head(self) -> bytes:
        """What stands before the file."""
        return _OPENING

    def feed(self, block: bytes) -> bytes:
        """The file goes on, by any number of bytes; what of the body is certain now."""
        if self._carry:
            block = self._carry + block
        whole = len(block) - len(block) % _GROUP
        self._carry = block[whole:]
        return b2a_base64(block if not self._carry else memoryview(block)[:whole], newline=False)

    def end(self) -> bytes:
        """What remains when the file is over."""
        return b2a_base64(self._carry, newline=False) + _CLOSING

"""The one error a decoder may raise."""


class DecodeError(ValueError):
    """Bytes from a peer that are not what their format promises.

    The message says what was wrong and never quotes the bytes: they may hold personal data.
    """

"""What is wrong with a certificate, a key or an authority."""


class CertificateError(ValueError):
    """It cannot be used; the text is a clause that says why, without a full stop."""


class AuthorityRefusedError(ValueError):
    """The gateway does not do that with its authority; a sentence says why and what to do.

    Attributes:
        code: Why, for programs.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def cause(error: OSError | CertificateError) -> str:
    """Why a file of it cannot be read or written, as a clause."""
    if isinstance(error, CertificateError):
        return str(error)
    return (error.strerror or "it cannot be read").lower()

"""``python -m gateway`` is ``insiders-gateway``."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    from gateway.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()

"""``python -m gateway`` is ``insiders-gateway``."""

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        from gateway.cli import main as run
    except KeyboardInterrupt:  # somebody is faster than our imports
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()

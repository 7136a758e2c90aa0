"""A faithful, strict and nasty imitation of the Insiders cloud for demos and tests."""

"""A client of the Insiders Gateway: its live stream as numpy rows, kept alive and resumed after every cut."""

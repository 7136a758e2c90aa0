"""The Bluetooth sensors near a gateway in a terminal: what is there, what to do next, and a closer look at one."""

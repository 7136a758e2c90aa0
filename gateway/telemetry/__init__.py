"""Live samples: rings in memory, filled by tailing the cloud."""

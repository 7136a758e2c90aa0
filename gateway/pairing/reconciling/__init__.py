"""What carries the plan out: reads, writes, and remembers what came of it."""

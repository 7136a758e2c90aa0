"""From what is known of a fleet to what is true and what to do next; pure."""

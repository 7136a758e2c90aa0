"""The door: names, credentials, places and deadlines, before anything is asked of the gateway."""

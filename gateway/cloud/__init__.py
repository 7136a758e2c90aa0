"""The Insiders cloud: the one table of endpoints, authorisation, pacing and a typed client."""

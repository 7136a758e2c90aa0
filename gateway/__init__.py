"""The Insiders gateway: a daemon between the Insiders cloud and the touchline."""

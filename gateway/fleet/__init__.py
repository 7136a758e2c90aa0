"""The roster: which trackers and athletes we have, and claiming them in the cloud."""

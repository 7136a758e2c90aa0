"""Recordings: .asi files taken over from technicians, kept through everything, and brought into the cloud."""

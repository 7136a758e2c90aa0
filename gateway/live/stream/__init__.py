"""The live stream to many clients: what each is sent, when, and what is left out for those who are slow."""

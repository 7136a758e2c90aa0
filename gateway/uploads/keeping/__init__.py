"""What must not be lost: the spool of files, the ledger of their states, the journal they can be told again from."""

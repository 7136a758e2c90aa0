"""What can be asked over HTTP, address by address, and the pages."""

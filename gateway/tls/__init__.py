"""The certificate with which the gateway proves to laptops that it is itself."""

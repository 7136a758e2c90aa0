"""What the gateway's interfaces are, as documents for machines: OpenAPI and AsyncAPI, made from the code itself."""

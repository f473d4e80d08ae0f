"""The pages on which a person says yes to a device (RFC 8628 section 3.3)."""

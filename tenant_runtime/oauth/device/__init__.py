"""Devices without a browser (RFC 8628): the endpoint that hands out codes, and the letters that people type.

The pages are in `login.devices`, the grant is in `oauth.grants.device_code`.
"""

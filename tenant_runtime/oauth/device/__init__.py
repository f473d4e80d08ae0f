"""Devices without a browser (RFC 8628): the endpoint that hands out codes, and the letters that people type.

`authorization` answers the device, which then asks at the token endpoint (`oauth.grants.device_code`) while a person
is at the pages (`login.devices`).
"""

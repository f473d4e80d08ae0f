"""Where the parts are wired and started: the ASGI application, the `keystead` command, the demo and the walk.

The only package that reads the environment and the only one that sees every layer. `asgi.create_app` is the
seam for people who run Keystead inside their own process.
"""

"""Auth0's Authentication API beside OAuth: codes by mail, accounts, forgotten passwords.

Its SDKs call these paths and expect its shapes; what is done behind them (accounts, letters, grants) is what the login
pages and the token endpoint do.
"""

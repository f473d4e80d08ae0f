"""Auth0's Authentication API beside OAuth: codes by mail, sign-up, forgotten passwords."""

"""Log-ins as they stand: browser sessions and refresh tokens, each shown and ended, and everything of a user's at once.

What ends, ends in the transaction that says so; the clients of a session are told of it by the queue. What is over is
not shown: these lists say who is in, the log says who was.
"""

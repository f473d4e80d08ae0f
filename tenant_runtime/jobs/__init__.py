"""What is long to do, as it is done: imports and exports of users, in pieces, in the background.

`queue` has the rows and who holds them, `running` the worker, `imports` and `exports` one piece of each. A piece is one
unit: its rows, its errors and how far the job is, so that a worker that dies leaves nothing half done and the next one
repeats nothing. Asked for over HTTP in `management.jobs`. The worker is woken and resumed as deliveries are: each
stretch of a job is a delivery to itself.
"""

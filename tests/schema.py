"""The worlds of other tests on the schema of the release before: KEYSTEAD_TEST_SCHEMA=0003.

A release serves its own schema and the one before it, so what holds on one must hold on the other.
"""

import os

TO: str | None = os.environ.get("KEYSTEAD_TEST_SCHEMA")
"""What `migrations.upgrade` is told; None: the newest."""

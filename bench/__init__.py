"""Measures a real server on fresh data: what each operation costs, beside the bare work it cannot do without.

`python -m bench` boots `keystead` in processes of its own (`installation.py`), sends it raw HTTP over loopback
(`wire.py`), in rounds that alternate with a bare program doing the same work without checks (`floor.py`), and
prints one table (`table.py`). `protocol.py` holds the workloads of one tenant, `fleet.py` those of many. Nothing
here is imported by the product. How to read the table: `bench/README.md`.
"""

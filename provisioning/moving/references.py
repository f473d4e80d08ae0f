"""References between tables of the target, which must not act while rows are replaced there.

SQLite and libSQL leave them out for a transaction (`foreign_keys`). PostgreSQL cannot, for who is not its superuser:
there they are taken off the tables, written down beside them, put back for new rows before the flip, and proved for
all rows after it.
"""

from sqlalchemy import Connection, inspect, text

TABLE = "move_references"


def take_off(connection: Connection) -> None:
    """Safe to repeat."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_WRITE_DOWN))
        connection.execute(text(_TAKE_OFF))


def put_back(connection: Connection) -> None:
    if connection.dialect.name == "postgresql" and inspect(connection).has_table(TABLE):
        connection.execute(text(_PUT_BACK))


def prove(connection: Connection) -> None:
    """Safe to repeat; the last thing that is done here."""
    if connection.dialect.name == "postgresql" and inspect(connection).has_table(TABLE):
        connection.execute(text(_PROVE))
        connection.execute(text(f"DROP TABLE {TABLE}"))


_FOUND = """
    SELECT CAST(CAST(conrelid AS regclass) AS text) AS of_table, conname AS name,
           pg_get_constraintdef(oid) AS definition
    FROM pg_constraint
    WHERE contype = 'f' AND connamespace = CAST(current_schema() AS regnamespace)
"""
_WRITE_DOWN = f"CREATE TABLE IF NOT EXISTS {TABLE} AS {_FOUND}"
_TAKE_OFF = f"""
    DO $$ DECLARE each record; BEGIN
      FOR each IN {_FOUND} LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', each.of_table, each.name);
      END LOOP;
    END $$
"""
_PUT_BACK = f"""
    DO $$ DECLARE each record; BEGIN
      FOR each IN SELECT * FROM {TABLE} LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', each.of_table, each.name, each.definition);
      END LOOP;
    END $$
"""
_PROVE = f"""
    DO $$ DECLARE each record; BEGIN
      FOR each IN SELECT * FROM {TABLE} LOOP
        EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', each.of_table, each.name);
      END LOOP;
    END $$
"""

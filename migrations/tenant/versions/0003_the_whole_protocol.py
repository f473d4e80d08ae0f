"""The whole protocol: keys of clients, pushed requests, devices, bound tokens, deliveries, life of signing keys."""

import secrets
import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deliveries_due_at", "deliveries", ["due_at"], unique=False)
    op.create_table(
        "used_ids",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_ids")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_used_ids_expires_at", "used_ids", ["expires_at"], unique=False)
    op.create_table(
        "client_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("alg", sa.String(), nullable=True),
        sa.Column("jwk", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.client_id"], name=op.f("fk_client_keys_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_keys")),
        sa.UniqueConstraint("client_id", "kid", name=op.f("uq_client_keys_client_id_kid")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "device_codes",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("user_code_digest", sa.String(), nullable=False),
        sa.Column("family_id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("audience", sa.String(), nullable=True),
        sa.Column("organization", sa.String(), nullable=True),
        sa.Column("dpop_jkt", sa.String(), nullable=True),
        sa.Column("interval_ms", sa.Integer(), nullable=False),
        sa.Column("polled_at", sa.BigInteger(), nullable=True),
        sa.Column("is_approved", sa.Boolean(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("session_id", sa.String(), nullable=True),
        sa.Column("organization_id", sa.String(), nullable=True),
        sa.Column("acr", sa.String(), nullable=True),
        sa.Column("amr", sa.JSON(), nullable=False),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.client_id"], name=op.f("fk_device_codes_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_device_codes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_device_codes")),
        sa.UniqueConstraint("user_code_digest", name=op.f("uq_device_codes_user_code_digest")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_device_codes_expires_at", "device_codes", ["expires_at"], unique=False)
    op.create_table(
        "login_codes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.client_id"], name=op.f("fk_login_codes_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"],
            ["connections.id"],
            name=op.f("fk_login_codes_connection_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_codes")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_login_codes_address", "login_codes", ["connection_id", "address"], unique=False)
    op.create_table(
        "pushed_requests",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"],
            ["clients.client_id"],
            name=op.f("fk_pushed_requests_client_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_pushed_requests")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_pushed_requests_expires_at", "pushed_requests", ["expires_at"], unique=False)
    op.add_column("access_tokens", sa.Column("dpop_jkt", sa.String(), nullable=True))
    op.add_column("authorization_codes", sa.Column("dpop_jkt", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("jwks_uri", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("resource_server_identifier", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("compliance_level", sa.String(), nullable=True))
    op.add_column(
        "clients",
        sa.Column("require_proof_of_possession", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column(
        "clients",
        sa.Column(
            "require_pushed_authorization_requests", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
    )
    op.add_column(
        "clients", sa.Column("signed_request_object", sa.JSON(), nullable=False, server_default="{}")
    )
    op.add_column("clients", sa.Column("oidc_logout", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("clients", sa.Column("origin", sa.String(), nullable=False, server_default="operator"))
    op.add_column("clients", sa.Column("registration", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("clients", sa.Column("registration_digest", sa.String(), nullable=True))
    op.add_column("clients", sa.Column("fresh_until", sa.BigInteger(), nullable=True))
    op.create_index("ix_grants_created", "grants", ["created_at", "id"], unique=False)
    op.add_column("refresh_families", sa.Column("dpop_jkt", sa.String(), nullable=True))
    op.add_column("signing_keys", sa.Column("activates_at", sa.BigInteger(), nullable=True))
    op.add_column("signing_keys", sa.Column("certificate", sa.LargeBinary(), nullable=True))
    op.create_index(
        "uq_signing_keys_state",
        "signing_keys",
        ["alg", "state"],
        unique=True,
        sqlite_where=sa.text("state IN ('current', 'next')"),
        postgresql_where=sa.text("state IN ('current', 'next')"),
    )
    _act_on_what_was_kept(op.get_bind())
    _connect_for_codes(op.get_bind())


def _connect_for_codes(connection: sa.Connection) -> None:
    """Every new tenant begins with it; those that are there already get it."""
    connections = sa.table(
        "connections",
        *(sa.column(name) for name in ("id", "name", "strategy", "created_at", "updated_at")),
        *(sa.column(name, sa.JSON()) for name in ("options", "metadata")),
        *(
            sa.column(name, sa.Boolean())
            for name in ("is_domain_connection", "enabled_for_all_clients", "is_system")
        ),
    )
    taken = sa.select(connections.c.id).where(connections.c.name == "email")
    if connection.scalar(sa.text("SELECT id FROM tenant")) is None or connection.scalar(taken) is not None:
        return
    now = int(time.time()) * 1000
    connection.execute(
        sa.insert(connections).values(
            id=f"con_{secrets.token_hex(8)}",
            name="email",
            strategy="email",
            options={},
            metadata={},
            is_domain_connection=False,
            enabled_for_all_clients=True,
            is_system=False,
            created_at=now,
            updated_at=now,
        )
    )


def _act_on_what_was_kept(connection: sa.Connection) -> None:
    """Until now a client's `attributes` kept these members as they were written, without effect.

    A FAPI compliance level is not taken over: no client could have had the keys for it, so none would get in any more.
    """
    clients = sa.table(
        "clients",
        sa.column("client_id"),
        sa.column("attributes", sa.JSON()),
        sa.column("require_proof_of_possession", sa.Boolean()),
        sa.column("require_pushed_authorization_requests", sa.Boolean()),
        sa.column("signed_request_object", sa.JSON()),
        sa.column("oidc_logout", sa.JSON()),
        sa.column("compliance_level"),
    )
    for client_id, attributes in connection.execute(
        sa.select(clients.c.client_id, clients.c.attributes)
    ).all():
        kept = dict(attributes)
        values = _taken_out(kept)
        if kept != attributes:
            change = sa.update(clients).where(clients.c.client_id == client_id)
            connection.execute(change.values(attributes=kept, **values))


def _taken_out(kept: dict[str, Any]) -> dict[str, Any]:
    """What of it has the shape that is written today; the rest was never looked at."""
    values: dict[str, Any] = {}
    for name in ("require_proof_of_possession", "require_pushed_authorization_requests"):
        values[name] = kept.pop(name, None) is True
    signed, level = kept.pop("signed_request_object", None), kept.pop("compliance_level", None)
    values["signed_request_object"] = (
        {"required": True} if isinstance(signed, dict) and signed.get("required") is True else {}
    )
    values["compliance_level"] = "none" if level == "none" else None
    old, new = kept.pop("oidc_backchannel_logout", None), kept.pop("oidc_logout", None)
    values["oidc_logout"] = _logout(new) or _logout(old)
    return values


def _logout(kept: Any) -> dict[str, Any]:
    if not isinstance(kept, dict):
        return {}
    urls, initiators = kept.get("backchannel_logout_urls"), kept.get("backchannel_logout_initiators")
    if not isinstance(urls, list) or not all(
        isinstance(url, str) and url.startswith("https://") for url in urls
    ):
        return {}
    chosen = {"backchannel_logout_initiators": initiators} if _are_initiators(initiators) else {}
    return {"backchannel_logout_urls": urls, **chosen}


def _are_initiators(kept: Any) -> bool:
    if not isinstance(kept, dict) or not kept.keys() <= {"mode", "selected_initiators"}:
        return False
    selected = kept.get("selected_initiators", [])
    texts = isinstance(selected, list) and all(isinstance(one, str) for one in selected)
    return texts and kept.get("mode", "all") in ("all", "custom")

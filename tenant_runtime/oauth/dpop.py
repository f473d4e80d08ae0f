"""DPoP (RFC 9449): tokens that only the holder of a key can use."""

from dataclasses import dataclass

from tenant_runtime.oauth.single_use import SingleUse


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is good: of which key (its RFC 7638 thumbprint), and what of it counts once."""

    jkt: str
    used: SingleUse

"""Which domains can be an organization's own."""

from core.domains import RECORD, SHOWN
from core.errors import InvalidInput
from core.http.hosts import canonical_host

_LONGEST = 253 - len(RECORD) - 1

PUBLIC_MAIL = frozenset((
    "aol.com", "btinternet.com", "comcast.net", "fastmail.com", "free.fr", "freenet.de", "gmail.com", "gmx.at",
    "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hey.com", "hotmail.com", "hotmail.co.uk",
    "hotmail.de", "hotmail.fr", "icloud.com", "laposte.net", "libero.it", "live.com", "live.de", "mac.com",
    "mail.com", "mail.de", "mail.ru", "mailbox.org", "me.com", "msn.com", "naver.com", "orange.fr",
    "outlook.com", "outlook.de", "pm.me", "posteo.de", "proton.me", "protonmail.com", "qq.com",
    "rediffmail.com", "rocketmail.com", "seznam.cz", "t-online.de", "tutanota.com", "tuta.com", "verizon.net",
    "web.de", "wp.pl", "yahoo.com", "yahoo.co.jp", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yandex.com",
    "yandex.ru", "ymail.com", "zoho.com", "126.com", "163.com",
))  # fmt: skip
"""Where anybody has an address: the largest, and no promise to know them all. The proof keeps all others away."""


def claimable(text: str) -> str:
    """As domains are compared: in small letters of DNS. Raises for what can be no organization's."""
    host = canonical_host(text.strip()) if not set(text) & set(":/@*[]?#%\\ ") else None
    if host is None or len(host) > _LONGEST or "_" in host:
        raise InvalidInput("`domain` must be a domain such as example.com.", code="invalid_domain")
    if "." not in host or host.rpartition(".")[2].isdigit():
        raise InvalidInput(
            "`domain` must be a domain of two labels or more, and no address.", code="invalid_domain"
        )
    if host in PUBLIC_MAIL:
        raise InvalidInput("Anybody can have an address in this domain.", code="public_domain")
    return host


def place_of(domain: str) -> str:
    """Where the record is looked for."""
    return f"{RECORD}.{domain}"


def record_of(token: str) -> str:
    return f"{SHOWN}{token}"

"""What is said once for a tenant as a whole and is more than a value: attack protection, the mail provider, templates,
texts, ... Each is a row of `settings` under a key of its own, so that layers, inheritance and the snapshot are those of
every setting (`specs/tenancy.md` section 6).
"""

from tenant_runtime.documents.documents import Document, Documents, Family, is_document
from tenant_runtime.documents.sealed import hidden, open_secret, sealed

__all__ = ["Document", "Documents", "Family", "hidden", "is_document", "open_secret", "sealed"]

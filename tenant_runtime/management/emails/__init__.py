"""`emails/provider` and `email-templates`: by whose server a tenant's letters go, and what they look like.

Both are documents (`tenant_runtime.documents`), inherited from the control plane. What they mean when a letter is sent
is in `tenant_runtime.mail`.
"""

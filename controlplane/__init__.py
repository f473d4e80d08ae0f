"""The control plane: the registry of tenants, the directory that resolves hosts, and the platform API.

Owns which tenants exist, where each database is and how far each has converged; holds no personal data of end
users. It checks tokens with our own SDK like any other API, and never imports `tenant_runtime`.
"""

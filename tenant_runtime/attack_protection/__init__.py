"""What is done against those who guess, make accounts by the hundred, or come with passwords that were stolen: Auth0's
three protections, each a document of the tenant (`documents`), each done by the flows that it speaks of.

Counts of failures are rows of the tenant's database, so that all processes and nodes agree. What a tenant may ask of a
process at all is not here: that is `tenant_runtime.admission`.
"""

"""`/api/v2/jobs`: imports and exports of users, letters that prove an address, and how far each job is.

A file is read as it comes (`uploads`) and kept in parts; what an export made is fetched by a link that the tenant
signed for this job and a few minutes (`downloads`). The work itself is `tenant_runtime.jobs`.
"""

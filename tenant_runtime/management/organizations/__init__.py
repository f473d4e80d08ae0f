"""`/organizations` and what belongs to one: members and what they hold.

A tenant organization on tenant one stands for a child, and follows it: its name and its end are not
this API's.
"""

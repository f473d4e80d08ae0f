"""What is issued: claims and signatures, what belongs to one authorization, and how that ends.

A family is everything that one authorization led to (`families`). `subject` is the person as they stand at the moment
of issuing or accepting; `issuing` makes tokens and `access_tokens` reads those that come back.
"""

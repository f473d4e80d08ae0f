"""What is issued: claims and signatures, what belongs to one authorization, and how it ends."""

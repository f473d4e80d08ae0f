"""The authorization endpoint: what is asked, by whom, where the answer goes, and the code."""

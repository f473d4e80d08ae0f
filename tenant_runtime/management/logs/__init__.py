"""`/logs`: what happened."""

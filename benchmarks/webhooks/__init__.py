"""What `webhook_receipt` starts: sites, servers and the load."""

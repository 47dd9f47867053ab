"""What `webhook_receipt` starts beside itself: sites, servers and the load."""

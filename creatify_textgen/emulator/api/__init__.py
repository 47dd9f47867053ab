"""What the API answers: generations, the list, streams, refusals and webhooks."""

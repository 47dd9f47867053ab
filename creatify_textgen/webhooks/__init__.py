"""The receiver of the remote's deliveries. Made to stand on the open internet."""

"""What lies beside released weights, for those who get them from others; and their way to the Hub."""

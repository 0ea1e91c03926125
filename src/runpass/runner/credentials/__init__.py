"""One module per kind of credential: from its record to variables for the commands, and something to close."""

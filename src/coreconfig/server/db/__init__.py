"""The database: transactions, what differs between products, and the schema through time."""

"""MySQL and what speaks its protocol: a table or a query, in full or what is new."""

"""The intermediate representation: an SSA graph of declared operations on static tensor types."""

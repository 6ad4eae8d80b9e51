"""The use cases: what the product does, in terms of the domain and its ports."""

"""ML Programs of one operator, as a chip was asked about them."""

"""Proof: numbers compared, inputs fed, predictions held against placements, and what differs located."""

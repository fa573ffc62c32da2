"""The one place that starts, limits and ends other processes: jobs that answer once, workers that are spoken
to.
"""

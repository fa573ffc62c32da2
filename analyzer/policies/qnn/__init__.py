"""The QNN execution provider: what the Qualcomm HTP takes as one piece and what it cannot compile."""

"""The parts of `translate.applications.evaluate`: data with roles, candidates, scores, the picture."""

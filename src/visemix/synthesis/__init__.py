"""Sets of synthetic clips: which portrait speaks which sound, building, checking, measuring."""

"""Usage and cost of every model call: events, their ingestion into SQL, rollups and exports."""

"""What every model call used and cost: events, their way into SQL, rollups, exports."""

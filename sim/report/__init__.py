"""From a run record to what a person wants: tables, console report, result folder, timeline, plots."""

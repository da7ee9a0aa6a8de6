"""From records to a report: what a study's tables say, in indicators, comparisons, figures and words."""

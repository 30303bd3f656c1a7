"""MongoDB as a source: documents become rows by stated rules."""

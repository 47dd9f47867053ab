"""What every HTTP door shares: strict JSON, errors as JSON, who is let in. Knows no verbs."""

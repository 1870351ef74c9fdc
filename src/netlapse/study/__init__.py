"""Studies: many networks over a space of settings and seeds, trained at once. `netlapse.Study` is the door."""

"""The viewer: what it is given of runs, and its doors: a page, a server, a notebook widget."""

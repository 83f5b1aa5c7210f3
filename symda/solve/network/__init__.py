"""Networks: the action of pairs, and what minimises it over activities and weights."""

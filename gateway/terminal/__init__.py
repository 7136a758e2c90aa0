"""What commands share that talk with a person: lines, names of sensors, questions, and what cannot be done."""

"""What commands share that talk with a person: lines, names, questions, what to type, and what cannot be done."""

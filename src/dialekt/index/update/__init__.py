"""Moving an index to another model a part at a time: mapped vectors first, new ones where they matter most."""

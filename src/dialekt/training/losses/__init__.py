"""What a training step minimises: one function per objective, and the table that names them."""

//! What a command *means*: one file per job system and one line in the table.

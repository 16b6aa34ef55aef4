-- The rounds of a turn in which the model asked for tools, as JSON; opaque here. Null where there were none.
ALTER TABLE turn ADD COLUMN rounds TEXT;

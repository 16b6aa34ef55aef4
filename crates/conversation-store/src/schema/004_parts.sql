-- What an event adds to its turn's answer stands beside it: a token is one row on one page, in place of a second one in a table of
-- its own. A running turn's answer is joined from them; the columns are null for all other events.
ALTER TABLE event ADD COLUMN part TEXT;
ALTER TABLE event ADD COLUMN ids BLOB;
UPDATE event SET part = answer_part.text, ids = answer_part.ids FROM answer_part
    WHERE event.turn = answer_part.turn AND event.seq = answer_part.seq;
DROP TABLE answer_part;

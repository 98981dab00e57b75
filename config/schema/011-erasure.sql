-- Erasure and pruning. A heed that does not know them would take the one-way names for customers.
UPDATE meta SET value = 11 WHERE name = 'oldest_program' AND value < 11;

-- When it was erased, and until its texts are gone everywhere: the id that they are found by.
ALTER TABLE customer ADD COLUMN erased_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE customer ADD COLUMN erasing TEXT NOT NULL DEFAULT '';
CREATE INDEX customer_erasing ON customer (n) WHERE erasing <> '';

-- Up to which contact of a month the texts were pruned.
CREATE TABLE pruned (
	month INTEGER PRIMARY KEY,
	seq INTEGER NOT NULL
);

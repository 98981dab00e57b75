-- Erasure and pruning. A heed that does not know them would take the one-way names for customers.
UPDATE meta SET value = '11' WHERE name = 'oldest_program' AND value::integer < 11;

-- When it was erased, and until its texts are gone everywhere: the id that they are found by.
ALTER TABLE customer ADD COLUMN erased_at bigint NOT NULL DEFAULT 0;
ALTER TABLE customer ADD COLUMN erasing text NOT NULL DEFAULT '';
CREATE INDEX customer_erasing ON customer (n) WHERE erasing <> '';

-- Up to which contact of a month its texts were pruned, or (gone) its messages.
CREATE TABLE pruned (
	month bigint NOT NULL,
	gone smallint NOT NULL,
	seq bigint NOT NULL,
	PRIMARY KEY (month, gone)
);

-- Of `states`: whose rows are gone.
ALTER TABLE position ADD COLUMN pruned bigint[] NOT NULL DEFAULT '{}';

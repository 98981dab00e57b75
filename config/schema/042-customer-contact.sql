-- Which contacts a customer has. An index of the contacts by customer would be written all over for every message;
-- here what is new goes into a short run, and a run that is full is merged with those before it
-- (adapters/store_sqlite_runs.c). A heed that does not know it would leave contacts out.
UPDATE meta SET value = 42 WHERE name = 'oldest_program';

CREATE TABLE customer_contact (
	run INTEGER NOT NULL, -- rises with seq
	customer INTEGER NOT NULL,
	seq INTEGER NOT NULL, -- of the contact
	PRIMARY KEY (run, customer, seq)
) WITHOUT ROWID;

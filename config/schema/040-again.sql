-- A customer's choice changed while more waited than one turn looks at: how far it came. A heed that does not
-- know it leaves the rest until it is due.
CREATE TABLE again (
	customer INTEGER PRIMARY KEY,
	after INTEGER NOT NULL -- message.n up to which was looked at
);

-- The store as the first heed made it. Applied whole in one transaction. Times are UTC microseconds; what is
-- a word in the contract is its number in gateway/words.h; absent text is ''.
-- Contacts are in tables of a month, contact_YYYYMM, made when first needed (adapters/store_sqlite_contacts.c).

-- schema: the last step applied; oldest_program: who knows fewer steps than this may not use the store;
-- id: random, made with the store.
CREATE TABLE meta (
	name TEXT PRIMARY KEY,
	value NOT NULL
) WITHOUT ROWID;

-- What rises and is never used again, and the counters of the sum.
CREATE TABLE number (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE customer (
	n INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	locale TEXT NOT NULL,
	timezone TEXT NOT NULL,
	seq INTEGER NOT NULL -- of the last change of these facts
);

-- Shared by all customers who have it; kept when nobody has it any more, for its state.
CREATE TABLE address (
	n INTEGER PRIMARY KEY,
	channel TEXT NOT NULL,
	value TEXT NOT NULL, -- normalised
	state INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	UNIQUE (value, channel)
);

CREATE TABLE customer_address (
	customer INTEGER NOT NULL,
	position INTEGER NOT NULL,
	address INTEGER NOT NULL,
	details TEXT NOT NULL, -- JSON or ''
	PRIMARY KEY (customer, position)
) WITHOUT ROWID;
CREATE INDEX customer_address_by_address ON customer_address (address);

CREATE TABLE preference (
	customer INTEGER NOT NULL,
	product TEXT NOT NULL, -- or a part, or *
	channels TEXT, -- JSON: names, or {"channel","hours","wait_us"}; NULL: not chosen here
	hours TEXT NOT NULL,
	digest TEXT NOT NULL,
	paused_until INTEGER NOT NULL,
	version INTEGER NOT NULL,
	changed_at INTEGER NOT NULL,
	changed_by TEXT NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (customer, product)
) WITHOUT ROWID;

-- The numbered log of every change: only appended to, kept for ever.
CREATE TABLE change_log (
	seq INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,
	at INTEGER NOT NULL,
	given_at INTEGER NOT NULL,
	customer INTEGER NOT NULL,
	address INTEGER NOT NULL,
	subject TEXT NOT NULL,
	changed_by TEXT NOT NULL,
	actor TEXT NOT NULL,
	source TEXT NOT NULL,
	evidence TEXT NOT NULL,
	old_value TEXT NOT NULL,
	new_value TEXT NOT NULL
);
CREATE INDEX change_log_by_customer ON change_log (customer);
CREATE INDEX change_log_of_products ON change_log (kind) WHERE kind = 3;

CREATE TABLE product_set (
	hash TEXT PRIMARY KEY,
	at INTEGER NOT NULL,
	body TEXT NOT NULL
);

CREATE TABLE template (
	hash TEXT PRIMARY KEY,
	name TEXT NOT NULL,
	at INTEGER NOT NULL,
	source TEXT NOT NULL
);

-- The body stands last: what is looked at comes before its overflow pages.
CREATE TABLE message (
	n INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	hash BLOB NOT NULL,
	customer INTEGER NOT NULL,
	product TEXT NOT NULL,
	template TEXT NOT NULL,
	campaign TEXT NOT NULL,
	purpose INTEGER NOT NULL,
	lane INTEGER NOT NULL,
	admitted_at INTEGER NOT NULL,
	state INTEGER NOT NULL,
	waits_for TEXT NOT NULL,
	due INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	tries INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	lease INTEGER NOT NULL,
	give_up_at INTEGER NOT NULL,
	fault_since INTEGER NOT NULL,
	rejected TEXT NOT NULL,
	channel TEXT NOT NULL,
	contact INTEGER NOT NULL,
	reasons TEXT NOT NULL,
	body TEXT NOT NULL
);
-- What is sending (2) or in doubt (5) is little: this index stays small and near.
CREATE INDEX message_open ON message (customer) WHERE state IN (2, 5);

-- What waits, and only that: a message that is admitted and claimed in one turn is never here.
CREATE TABLE waiting (
	waits_for TEXT NOT NULL,
	lane INTEGER NOT NULL,
	due INTEGER NOT NULL,
	message INTEGER NOT NULL,
	customer INTEGER NOT NULL,
	PRIMARY KEY (waits_for, lane, due, message)
) WITHOUT ROWID;
CREATE INDEX waiting_by_message ON waiting (waits_for, lane, message); -- the oldest
CREATE INDEX waiting_by_customer ON waiting (customer);

-- Events that are not published yet.
CREATE TABLE outbox (
	seq INTEGER PRIMARY KEY,
	json TEXT NOT NULL
);

INSERT INTO meta VALUES ('oldest_program', 1);

-- The store on PostgreSQL. Applied whole in one transaction, in the schema that comes first in the search path.
-- Times are UTC microseconds; what is a word in the contract is its number in gateway/words.h; absent text is ''.
-- What comes later only adds: two versions of heed work side by side on one schema.

-- schema: the last step applied; oldest_program: who knows fewer steps than this may not use the store;
-- id: random, made with the store.
CREATE TABLE meta (
	name text PRIMARY KEY,
	value text NOT NULL
);
INSERT INTO meta VALUES ('oldest_program', '1');

-- Who writes here: gateways, and commands while they are at work. `turn` is that of its last transaction: whoever
-- did not hear what became of a commit looks here.
CREATE TABLE writer (
	id text PRIMARY KEY,
	host text NOT NULL,
	process bigint NOT NULL,
	turn bigint NOT NULL,
	seen timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Gateways, and when each reported last.
CREATE SEQUENCE gateway_n;
CREATE TABLE gateway (
	n bigint PRIMARY KEY,
	name text COLLATE "C" NOT NULL UNIQUE,
	boot text NOT NULL, -- of the machine that it ran on last
	at bigint NOT NULL
) WITH (fillfactor = 50);

-- What one gateway does at a time, by lease.
CREATE TABLE role (
	name text PRIMARY KEY,
	gateway bigint NOT NULL,
	until bigint NOT NULL
) WITH (fillfactor = 50);

-- Positions that are fixed at the commit, and the sum. Changed last in a transaction: its row keeps the commits
-- in the order of the positions, so that whoever follows them misses none.
CREATE TABLE position (
	one integer PRIMARY KEY CHECK (one = 1),
	changed bigint NOT NULL,
	event bigint NOT NULL,
	admitted bigint NOT NULL,
	states bigint[] NOT NULL -- by the number of the state
) WITH (fillfactor = 10);
INSERT INTO position VALUES (1, 0, 0, 0, '{}');

-- What rises and is never used again; there may be gaps.
CREATE SEQUENCE message_n;
CREATE SEQUENCE contact_seq;
CREATE SEQUENCE change_seq;
CREATE SEQUENCE customer_n;
CREATE SEQUENCE address_n;

CREATE TABLE customer (
	n bigint PRIMARY KEY,
	id text COLLATE "C" NOT NULL UNIQUE,
	name text NOT NULL,
	locale text NOT NULL,
	timezone text NOT NULL,
	seq bigint NOT NULL -- of the last change of these facts
);

-- Shared by all customers who have it; kept when nobody has it any more, for its state.
CREATE TABLE address (
	n bigint PRIMARY KEY,
	channel text COLLATE "C" NOT NULL,
	value text COLLATE "C" NOT NULL, -- normalised
	state smallint NOT NULL,
	seq bigint NOT NULL,
	answered_at bigint NOT NULL DEFAULT 0, -- when heed last answered there by itself; 0: never
	UNIQUE (value, channel)
);

CREATE TABLE customer_address (
	customer bigint NOT NULL,
	position bigint NOT NULL,
	address bigint NOT NULL,
	details text NOT NULL, -- JSON or ''
	PRIMARY KEY (customer, position)
);
CREATE INDEX customer_address_by_address ON customer_address (address);

CREATE TABLE preference (
	customer bigint NOT NULL,
	product text COLLATE "C" NOT NULL, -- or a part, or *
	channels text, -- JSON: names, or {"channel","hours","wait_us"}; NULL: not chosen here
	hours text NOT NULL,
	digest text NOT NULL,
	paused_until bigint NOT NULL,
	version bigint NOT NULL,
	changed_at bigint NOT NULL,
	changed_by text NOT NULL,
	seq bigint NOT NULL,
	PRIMARY KEY (customer, product)
);

-- The numbered log of every change: only appended to, kept for ever.
CREATE TABLE change_log (
	seq bigint PRIMARY KEY,
	kind smallint NOT NULL,
	at bigint NOT NULL,
	given_at bigint NOT NULL,
	customer bigint NOT NULL,
	address bigint NOT NULL,
	subject text NOT NULL,
	changed_by text NOT NULL,
	actor text NOT NULL,
	source text NOT NULL,
	evidence text NOT NULL,
	old_value text NOT NULL,
	new_value text NOT NULL
);
CREATE INDEX change_log_by_customer ON change_log (customer, seq);
CREATE INDEX change_log_of_products ON change_log (seq) WHERE kind = 3;
CREATE INDEX change_log_of_holds ON change_log (seq) WHERE kind = 4;

CREATE TABLE product_set (
	hash text PRIMARY KEY,
	at bigint NOT NULL,
	body text NOT NULL
);

CREATE TABLE template (
	hash text PRIMARY KEY,
	name text NOT NULL,
	at bigint NOT NULL,
	source text NOT NULL
);

CREATE TABLE hold (
	kind smallint NOT NULL,
	name text COLLATE "C" NOT NULL,
	why text NOT NULL,
	held_by text NOT NULL,
	actor text NOT NULL,
	at bigint NOT NULL,
	seq bigint NOT NULL, -- of its change in the log
	PRIMARY KEY (kind, name)
);

CREATE TABLE message (
	n bigint PRIMARY KEY,
	id text COLLATE "C" NOT NULL UNIQUE,
	hash bytea NOT NULL,
	customer bigint NOT NULL,
	admitted_at bigint NOT NULL,
	send_at bigint NOT NULL, -- 0: at once
	expires_at bigint NOT NULL, -- 0: never
	due bigint NOT NULL,
	epoch bigint NOT NULL,
	lease bigint NOT NULL,
	gateway bigint NOT NULL, -- who claimed it last
	give_up_at bigint NOT NULL,
	fault_since bigint NOT NULL,
	wait_since bigint NOT NULL,
	wait_until bigint NOT NULL, -- 0: no end
	contact bigint NOT NULL,
	attempts integer NOT NULL,
	tries integer NOT NULL,
	purpose smallint NOT NULL,
	lane smallint NOT NULL,
	state smallint NOT NULL,
	best smallint NOT NULL, -- sent (3) or delivered (4), by an earlier channel; 0: nothing yet
	product text NOT NULL,
	template text NOT NULL,
	campaign text COLLATE "C" NOT NULL,
	waits_for text COLLATE "C" NOT NULL,
	rejected text NOT NULL,
	waited text NOT NULL, -- channels whose wait ran out
	wait_channel text NOT NULL, -- the channel of the list whose turn it is
	counted text NOT NULL, -- the cap counters that it counts in, a line each
	channel text NOT NULL,
	reasons text NOT NULL,
	body text NOT NULL
) WITH (fillfactor = 85);
-- What waits, and only that: a message that is admitted and claimed in one turn is never in one of these.
CREATE INDEX message_waiting ON message (waits_for, lane, due, n) WHERE due < 9223372036854775807;
CREATE INDEX message_oldest ON message (waits_for, lane, n) WHERE due < 9223372036854775807;
CREATE INDEX message_waiting_of ON message (customer, n) WHERE due < 9223372036854775807;
CREATE INDEX message_expires ON message (expires_at) WHERE expires_at > 0 AND due < 9223372036854775807;
CREATE INDEX message_campaign ON message (campaign, n) WHERE campaign <> '' AND due < 9223372036854775807;
-- What is sending (2) or in doubt (5) is little: these stay small and near.
CREATE INDEX message_open ON message (customer) WHERE state IN (2, 5);
CREATE INDEX message_sending ON message (n) WHERE state = 2;

-- How much of a cap a customer has had in a period. Those that are over go at the next count.
CREATE TABLE cap_count (
	customer bigint NOT NULL,
	name text COLLATE "C" NOT NULL, -- what is counted, and the period
	used bigint NOT NULL,
	ends bigint NOT NULL,
	PRIMARY KEY (customer, name)
);

-- A partition is a month of `at` (UTC), contact_YYYYMM, made ahead (adapters/store_postgres_contacts.c).
CREATE TABLE contact (
	seq bigint NOT NULL,
	changed bigint NOT NULL,
	at bigint NOT NULL,
	customer bigint NOT NULL,
	message bigint NOT NULL,
	address bigint NOT NULL,
	preference bigint NOT NULL,
	preference_seq bigint NOT NULL,
	customer_seq bigint NOT NULL,
	address_seq bigint NOT NULL,
	products_seq bigint NOT NULL,
	log_seq bigint NOT NULL, -- the last change then
	late bigint NOT NULL, -- when it was reported, after others had taken it over; 0
	attempt integer NOT NULL,
	segments integer NOT NULL,
	direction smallint NOT NULL,
	state smallint NOT NULL,
	captured smallint NOT NULL,
	product text NOT NULL,
	channel text NOT NULL,
	provider text NOT NULL,
	provider_ref text NOT NULL,
	template text NOT NULL,
	template_hash text NOT NULL,
	summary text NOT NULL,
	content text NOT NULL,
	reason text NOT NULL,
	reason_args text NOT NULL,
	code text NOT NULL,
	detail text NOT NULL,
	PRIMARY KEY (seq, at)
) PARTITION BY RANGE (at);
CREATE INDEX contact_by_customer ON contact (customer, seq);
CREATE INDEX contact_by_message ON contact (message);
CREATE INDEX contact_by_changed ON contact (changed);
CREATE INDEX contact_by_ref ON contact (provider_ref) WHERE provider_ref <> '';
CREATE INDEX contact_in_doubt ON contact (customer) WHERE state = 5;
CREATE INDEX contact_captured ON contact (seq) WHERE captured <> 0;

-- The messages of a contact that has several (a digest).
CREATE TABLE contact_message (
	contact bigint NOT NULL,
	message bigint NOT NULL,
	PRIMARY KEY (contact, message)
);
CREATE INDEX contact_message_by_message ON contact_message (message);

-- Events that are not published yet.
CREATE TABLE outbox (
	seq bigint PRIMARY KEY,
	stream smallint NOT NULL, -- 0: events; 1: inbound
	json text NOT NULL
);

-- Receipts that nothing is known of yet: by the provider's reference, or by the contact that they name.
CREATE TABLE kept_receipt (
	provider text COLLATE "C" NOT NULL,
	provider_ref text COLLATE "C" NOT NULL, -- '' where the contact is known
	contact bigint NOT NULL, -- 0 where it is not
	channel text NOT NULL,
	at bigint NOT NULL,
	says smallint NOT NULL,
	address_dead smallint NOT NULL,
	code text NOT NULL,
	detail text NOT NULL,
	PRIMARY KEY (provider, provider_ref, contact)
);
CREATE INDEX kept_receipt_by_age ON kept_receipt (at);

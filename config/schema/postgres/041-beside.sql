-- What choosing needs of a customer stands together: a copy of the addresses and preferences beside the facts, so
-- that a message looks at two pages instead of eight.
--
-- Fields one behind the other, each its length in bytes, a colon, and the bytes ("-:" is NULL). NULL: there is no
-- copy, and the tables are read (it would be long).
--   addresses: n, channel, value, details, state, seq of each, by position
--   choices: product, channels, hours, digest, paused_until, version, changed_at, changed_by, seq of each
ALTER TABLE customer ADD COLUMN addresses text;
ALTER TABLE customer ADD COLUMN choices text;

-- Its state was changed since it was made: what stands beside a customer may be of before, this row is right.
ALTER TABLE address ADD COLUMN moved smallint NOT NULL DEFAULT 0;
CREATE INDEX address_moved ON address (n) INCLUDE (state, seq) WHERE moved <> 0;

CREATE VIEW customer_beside (n, addresses, choices) AS SELECT k.n,
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(string_agg(
		length(a.n::text) || ':' || a.n ||
		octet_length(a.channel) || ':' || a.channel ||
		octet_length(a.value) || ':' || a.value ||
		octet_length(l.details) || ':' || l.details ||
		length(a.state::text) || ':' || a.state ||
		length(a.seq::text) || ':' || a.seq, '' ORDER BY l.position), '') AS t
		FROM customer_address l JOIN address a ON a.n = l.address WHERE l.customer = k.n) f),
	(SELECT CASE WHEN length(t) <= 2000 THEN t END FROM (SELECT coalesce(string_agg(
		octet_length(p.product) || ':' || p.product ||
		coalesce(octet_length(p.channels) || ':' || p.channels, '-:') ||
		octet_length(p.hours) || ':' || p.hours ||
		octet_length(p.digest) || ':' || p.digest ||
		length(p.paused_until::text) || ':' || p.paused_until ||
		length(p.version::text) || ':' || p.version ||
		length(p.changed_at::text) || ':' || p.changed_at ||
		octet_length(p.changed_by) || ':' || p.changed_by ||
		length(p.seq::text) || ':' || p.seq, '' ORDER BY p.product), '') AS t
		FROM preference p WHERE p.customer = k.n) f)
	FROM customer k;

-- Whoever writes without knowing of the copy (an older heed that still runs, a hand) takes it away, and the tables are
-- read until it is written again. Who knows of it says so when he connects.
CREATE FUNCTION beside_forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	EXECUTE format('UPDATE %I.customer SET %I = NULL WHERE n = $1 OR n = $2', TG_TABLE_SCHEMA, TG_ARGV[0])
		USING NEW.customer, OLD.customer;
	RETURN NULL;
END $$;
CREATE TRIGGER preference_beside AFTER INSERT OR UPDATE OR DELETE ON preference FOR EACH ROW
	WHEN (coalesce(current_setting('heed.beside', true), '') = '') EXECUTE FUNCTION beside_forget('choices');
CREATE TRIGGER customer_address_beside AFTER INSERT OR UPDATE OR DELETE ON customer_address FOR EACH ROW
	WHEN (coalesce(current_setting('heed.beside', true), '') = '') EXECUTE FUNCTION beside_forget('addresses');
CREATE FUNCTION address_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	NEW.moved := 1;
	RETURN NEW;
END $$;
CREATE TRIGGER address_beside BEFORE UPDATE OF state, seq ON address FOR EACH ROW
	WHEN (coalesce(current_setting('heed.beside', true), '') = '') EXECUTE FUNCTION address_moves();

-- After the triggers, which wait for whoever is writing: nothing is written between what is copied here and them.
UPDATE customer SET (addresses, choices) = (SELECT b.addresses, b.choices FROM customer_beside b WHERE b.n = customer.n);

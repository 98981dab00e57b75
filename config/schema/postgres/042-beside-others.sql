-- Whoever writes without knowing of the copy beside a customer (an older heed that still runs, a hand) takes it away,
-- and the tables are read. Who knows of it says so when it connects.
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

-- So they may write. What they wrote since the copy was made, and the copy has not:
UPDATE meta SET value = '11' WHERE name = 'oldest_program' AND value = '41';
UPDATE customer k SET addresses = b.addresses, choices = b.choices FROM customer_beside b
	WHERE b.n = k.n AND (k.addresses, k.choices) IS DISTINCT FROM (b.addresses, b.choices);

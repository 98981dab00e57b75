#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "customer.h"
#include "xalloc.h"

static struct address_form form_of(const void *context, const char *channel, bool *known)
{
	struct address_form form = {.kind = ADDRESS_TEXT};

	*known = true;
	if (strcmp(channel, "email") == 0)
		form.kind = ADDRESS_EMAIL;
	else if (strcmp(channel, "sms") == 0)
		form.kind = ADDRESS_PHONE;
	else if (strcmp(channel, "webhook") == 0)
		form.kind = ADDRESS_URL;
	else
		*known = strcmp(channel, "pager") == 0;
	if (context && form.kind == ADDRESS_PHONE)
		form.numbers = *(const struct number_plan *)context;
	return form;
}

/* Reads `text` (JSON) into `out`; the error, "" if there was none, is in `error`. */
static bool read_customer(const char *text, bool merge, struct customer *out, struct text *error)
{
	json_error_t where;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	if (!json)
		fail_msg("%s in %s", where.text, text);
	text_clear(error);
	bool ok = customer_from_json(json, merge, form_of, NULL, out, error);
	json_decref(json);
	return ok;
}

static void assert_shows(const struct customer *customer, bool with_secrets, const char *expected)
{
	json_t *json = customer_to_json(customer, with_secrets);
	char *text = json_dumps(json, JSON_COMPACT), *logged = customer_to_text(customer);

	assert_string_equal(text, expected);
	if (with_secrets)
		assert_string_equal(logged, expected);
	free(text);
	free(logged);
	json_decref(json);
}

static void assert_refused(const char *text, const char *says)
{
	struct customer customer = {0};
	struct text error;
	text_init(&error, TEXT_ERROR_MAX);
	if (read_customer(text, false, &customer, &error))
		fail_msg("taken: %s", text);
	if (!strstr(error.data, says))
		fail_msg("\"%s\" does not say \"%s\"", error.data, says);
	assert_null(customer.id);
	text_release(&error);
}

static const char ana[] =
	"{\"id\":\"c-1042\",\"name\":\"Ana Díaz\",\"locale\":\"es-AR\","
	"\"timezone\":\"America/Argentina/Buenos_Aires\",\"addresses\":{\"email\":\"ana@example.com\","
	"\"sms\":[\"+5491155550100\",\"+5491155550101\"],"
	"\"webhook\":{\"url\":\"https://example.com/hook\",\"secret\":\"whsec_abc\"}},\"states\":[]}";

static void a_customer_is_given_back_as_it_was_put(void **unused)
{
	struct customer customer = {0};
	struct text error;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(read_customer(ana, false, &customer, &error));
	assert_int_equal(customer.address_count, 4);
	assert_string_equal(customer.addresses[3].details, "{\"secret\":[\"whsec_abc\"]}");
	assert_shows(&customer, true, ana);
	struct customer *copy = customer_copy(&customer);
	customer_release(&customer);
	assert_shows(copy, true, ana);
	customer_free(copy);
	text_release(&error);
}

static void secrets_are_shown_only_to_who_may_see_them(void **unused)
{
	struct customer customer = {0};
	struct text error;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(read_customer("{\"id\":\"c\",\"addresses\":{\"webhook\":[\"https://a.example/\",{\"url\":"
				  "\"https://b.example/\",\"secret\":[\"whsec_bmV3\",\"whsec_b2xk\"]}]}}",
				  false, &customer, &error));
	assert_shows(
		&customer, false,
		"{\"id\":\"c\",\"name\":\"\",\"locale\":\"\",\"timezone\":\"\",\"addresses\":{\"webhook\":["
		"\"https://a.example/\",{\"url\":\"https://b.example/\",\"secrets\":2}]},\"states\":[]}");
	customer_release(&customer);
	assert_refused(
		"{\"id\":\"c\",\"addresses\":{\"webhook\":{\"url\":\"https://b.example/\",\"secrets\":2}}}",
		"addresses.webhook.secrets: is how many are hidden");
	text_release(&error);
}

static void merging_changes_only_what_is_named(void **unused)
{
	struct customer customer = {0};
	struct text error;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(read_customer(ana, false, &customer, &error));
	customer.addresses[0].state = ADDRESS_DEAD;
	customer.addresses[1].state = ADDRESS_DEAD;
	assert_true(
		read_customer("{\"name\":\"\",\"addresses\":{\"sms\":\"+5491155550100\",\"webhook\":null}}",
			      true, &customer, &error));
	assert_shows(&customer, true,
		     "{\"id\":\"c-1042\",\"name\":\"\",\"locale\":\"es-AR\","
		     "\"timezone\":\"America/Argentina/"
		     "Buenos_Aires\",\"addresses\":{\"email\":\"ana@example.com\","
		     "\"sms\":\"+5491155550100\"},\"states\":[{\"channel\":\"email\",\"address\":\"ana@"
		     "example.com\","
		     "\"state\":\"dead\"}]}");
	assert_false(read_customer("{\"name\":\"Eva\",\"locale\":\"es_AR\"}", true, &customer, &error));
	assert_string_equal(customer.name, "");
	assert_false(read_customer("{\"id\":\"c-7\"}", true, &customer, &error));
	assert_true(read_customer("{\"addresses\":null}", true, &customer, &error));
	assert_int_equal(customer.address_count, 0);
	customer_release(&customer);
	text_release(&error);
}

/* "" for the address's secrets: it has none. */
static void assert_merges(struct customer *customer, const char *webhook, const char *url,
			  const char *details)
{
	char *text = xasprintf("{\"addresses\":{\"webhook\":%s}}", webhook);
	struct text error;

	text_init(&error, TEXT_ERROR_MAX);
	if (!read_customer(text, true, customer, &error))
		fail_msg("%s: %s", text, error.data);
	assert_int_equal(customer->address_count, 1);
	assert_string_equal(customer->addresses[0].value, url);
	assert_string_equal(customer->addresses[0].details, details);
	text_release(&error);
	free(text);
}

#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define KEPT "{\"secret\":[\"" SECRET "\"]}"

static void a_secret_that_is_not_named_stays_with_its_address(void **unused)
{
	struct customer customer = {0};
	struct text error;

	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_true(read_customer("{\"id\":\"c-1\"}", false, &customer, &error));
	text_release(&error);
	assert_merges(&customer, "{\"url\":\"https://a.example/\",\"secret\":\"" SECRET "\"}",
		      "https://a.example/", KEPT);
	assert_merges(&customer, "\"https://a.example/\"", "https://a.example/", KEPT);
	assert_merges(&customer, "[\"https://b.example/\"]", "https://b.example/", KEPT);
	assert_merges(&customer, "{\"url\":\"https://b.example/\",\"secret\":null}", "https://b.example/",
		      "");
	assert_merges(&customer, "{\"secret\":[\"" SECRET "\"]}", "https://b.example/", KEPT);
	customer_release(&customer);
}

static void a_mistake_names_its_field_and_what_would_be_right(void **unused)
{
	(void)unused;
	assert_refused("[]", "must be an object");
	assert_refused("{}", "id: is missing");
	assert_refused("{\"id\":\"\"}", "id: must be 1-128 bytes");
	assert_refused("{\"id\":7}", "id: must be a string");
	assert_refused("{\"id\":\"c\",\"nmae\":\"Ana\"}", "nmae: unknown key; a customer has: id, name");
	assert_refused("{\"id\":\"c\",\"name\":\"a\\nb\"}",
		       "name: must be at most 256 bytes without control");
	assert_refused("{\"id\":\"c\",\"locale\":\"es_AR\"}", "write it like es or es-AR");
	assert_refused("{\"id\":\"c\",\"timezone\":\"Mars/Olympus\"}", "like Europe/Berlin");
	assert_refused("{\"id\":\"c\",\"addresses\":[]}", "addresses: must be an object");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"fax\":\"1\"}}",
		       "addresses.fax: the configuration has no");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"sms\":[\"+5491155550100\",\"555\"]}}",
		       "addresses.sms[1]: is not an international number");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"sms\":[\"+5491155550100\",\"+54 911 5555-0100\"]}}",
		       "addresses.sms[1]: is there twice");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"email\":{\"url\":\"a@b\"}}}",
		       "addresses.email.url: unknown key; there are: address");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"email\":{\"address\":\"a@b\",\"secret\":\"s\"}}}",
		       "addresses.email.secret: unknown key");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"webhook\":{\"secret\":\"whsec_bmV3\"}}}",
		       "addresses.webhook.url: is missing");
	assert_refused(
		"{\"id\":\"c\",\"addresses\":{\"webhook\":{\"url\":\"https://a.example\",\"secret\":[]}}}",
		"addresses.webhook.secret: must be");
	assert_refused("{\"id\":\"c\",\"addresses\":{\"email\":5}}", "addresses.email: must be a string");
}

static void a_secret_that_cannot_sign_is_refused(void **unused)
{
	static const char *const none[] = {"\"my secret!\"",
					   "\"whsec_\"",
					   "\"whsec_*\"",
					   "\"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"",
					   "\"\"",
					   "7",
					   "[\"whsec_bmV3\",\"old\"]"};
	char json[256];
	(void)unused;
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		snprintf(json, sizeof json,
			 "{\"id\":\"c\",\"addresses\":{\"webhook\":{\"url\":\"https://a.example\","
			 "\"secret\":%s}}}",
			 none[i]);
		assert_refused(json,
			       "addresses.webhook.secret: nothing can be signed with it; whsec_ and base64");
	}
}

static void addresses_secrets_and_names_have_bounds(void **unused)
{
	struct customer customer = {0};
	struct text error, json;
	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	text_init(&json, 100000);
	for (int count = CUSTOMER_ADDRESSES_MAX; count <= CUSTOMER_ADDRESSES_MAX + 1; count++) {
		text_clear(&json);
		text_puts(&json, "{\"id\":\"c\",\"addresses\":{\"pager\":[");
		for (int i = 0; i < count; i++)
			text_addf(&json, "%s\"p%d\"", i ? "," : "", i);
		text_puts(&json, "]}}");
		assert_int_equal(read_customer(json.data, false, &customer, &error),
				 count == CUSTOMER_ADDRESSES_MAX);
	}
	assert_non_null(strstr(error.data, "at most 64"));
	text_clear(&json);
	text_puts(&json,
		  "{\"id\":\"c\",\"addresses\":{\"webhook\":{\"url\":\"https://a.example\",\"secret\":[");
	for (int i = 0; i <= ADDRESS_SECRETS_MAX; i++)
		text_addf(&json, "%s\"s%d\"", i ? "," : "", i);
	text_puts(&json, "]}}}");
	assert_refused(json.data, "a list of 1 to 8");
	text_clear(&json);
	text_addf(&json, "{\"id\":\"c\",\"name\":\"%0*d\"}", CUSTOMER_NAME_MAX + 1, 0);
	assert_refused(json.data, "name: must be at most 256 bytes");
	customer_release(&customer);
	text_release(&json);
	text_release(&error);
}

static void the_first_usable_address_is_found(void **unused)
{
	struct address addresses[] = {{.channel = "sms", .value = "1", .state = ADDRESS_DEAD},
				      {.channel = "email", .value = "2", .state = ADDRESS_STOPPED},
				      {.channel = "sms", .value = "3", .state = ADDRESS_OK},
				      {.channel = "sms", .value = "4", .state = ADDRESS_OK}};
	struct customer customer = {.addresses = addresses, .address_count = 4};
	size_t dead, stopped;
	(void)unused;
	assert_string_equal(customer_address(&customer, "sms", &dead, &stopped)->value, "3");
	assert_int_equal(dead, 1);
	assert_null(customer_address(&customer, "email", &dead, &stopped));
	assert_int_equal(stopped, 1);
	assert_null(customer_address(&customer, "voice", &dead, &stopped));
	assert_int_equal(dead + stopped, 0);
}

static void assert_normal_in(const struct address_form *form, const char *value, const char *expected)
{
	struct text out, error;
	text_init(&out, ADDRESS_VALUE_MAX);
	text_init(&error, TEXT_ERROR_MAX);
	bool ok = address_normalise(form, value, &out, &error);
	if (ok != (expected != NULL))
		fail_msg("%s: %s", value, ok ? "taken" : error.data);
	if (expected)
		assert_string_equal(out.data, expected);
	assert_int_equal(ok, error.len == 0);
	text_release(&out);
	text_release(&error);
}

static void assert_normal(enum address_kind kind, const char *value, const char *expected)
{
	assert_normal_in(&(const struct address_form){.kind = kind}, value, expected);
}

static void email_is_kept_with_its_domain_in_lower_case(void **unused)
{
	static const char *const bad[] = {"",
					  "ana",
					  "@example.com",
					  "ana@",
					  "a@b@c",
					  "a b@c.de",
					  "<a@b.de>",
					  "Ana <a@b.de>",
					  "a@b.de\r\nBcc: x",
					  "a@b..de",
					  "a@.de",
					  "a@b.de\n",
					  "\"a b\"@c.de",
					  "ana@exämple",
					  "añа@example.com",
					  "a@b.de,c@d.de"};
	(void)unused;
	assert_normal(ADDRESS_EMAIL, "Ana.D+x@Example.COM", "Ana.D+x@example.com");
	assert_normal(ADDRESS_EMAIL, "o'neil@xn--exmple-cua.com", "o'neil@xn--exmple-cua.com");
	assert_normal(ADDRESS_EMAIL, "root@localhost", "root@localhost");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_normal(ADDRESS_EMAIL, bad[i], NULL);
	char *long_local = xasprintf("%065d@example.com", 0);
	assert_normal(ADDRESS_EMAIL, long_local + 1, long_local + 1);
	assert_normal(ADDRESS_EMAIL, long_local, NULL);
	free(long_local);
}

static void phone_numbers_are_plus_and_digits(void **unused)
{
	static const char *const bad[] = {"",
					  "5555",
					  "030 1234567",
					  "+123456",
					  "+1234567890123456",
					  "+0301234567",
					  "+49 (0)30 1234567",
					  "+49a301234567",
					  "++4930123456",
					  "00"};
	(void)unused;
	assert_normal(ADDRESS_PHONE, "+54 9 (11) 5555-0100", "+5491155550100");
	assert_normal(ADDRESS_PHONE, "0054.911.5555.0100", "+5491155550100");
	assert_normal(ADDRESS_PHONE, "+1234567", "+1234567");
	assert_normal(ADDRESS_PHONE, "+123456789012345", "+123456789012345");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_normal(ADDRESS_PHONE, bad[i], NULL);
}

static void a_national_number_is_taken_only_as_the_configuration_says(void **unused)
{
	static const struct address_form argentina = {ADDRESS_PHONE, {"54", "0", 10}},
					 italy = {ADDRESS_PHONE, {"39", "", 0}},
					 germany = {ADDRESS_PHONE, {"49", "0", 0}};
	static const char *const bad[] = {"11 5555-0100",     /* no trunk prefix: whose area? */
					  "011 15 5555-0100", /* two digits too many */
					  "011 5555-010",     /* one too few */
					  "011 5555-0100 x 12", ""};

	(void)unused;
	assert_normal_in(&argentina, "011 5555-0100", "+541155550100");
	assert_normal_in(&argentina, "(011) 5555.0100", "+541155550100");
	assert_normal_in(&argentina, "+54 9 11 5555 0100", "+5491155550100");
	assert_normal_in(&argentina, "0034 600 000 000", "+34600000000");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_normal_in(&argentina, bad[i], NULL);
	assert_normal_in(&germany, "(0)30 1234567", "+49301234567");
	assert_normal_in(&germany, "030/1234567", NULL);
	assert_normal_in(&germany, "0123456789012345", NULL);
	assert_normal_in(&italy, "06 1234 5678", "+390612345678");
	assert_normal_in(&italy, "000000000000000000000000000000000000000000", NULL);
}

static void an_error_says_how_a_number_would_be_right(void **unused)
{
	const struct number_plan plan = {"54", "0", 10};
	struct customer customer = {0};
	struct text error;
	json_t *json = json_pack("{s:s, s:{s:s}}", "id", "a", "addresses", "sms", "11 5555-0100");

	(void)unused;
	text_init(&error, TEXT_ERROR_MAX);
	assert_false(customer_from_json(json, false, form_of, &plan, &customer, &error));
	assert_string_equal(error.data,
			    "addresses.sms: begins neither with + and the country nor with 0, as the "
			    "country's own numbers do here");
	assert_false(customer_from_json(json, false, form_of, NULL, &customer, &error));
	assert_string_equal(error.data, "addresses.sms: is not an international number; begin with + and the "
					"country, like +5491155550100");
	json_decref(json);
	text_release(&error);
}

static void urls_are_http_with_a_host(void **unused)
{
	static const char *const bad[] = {"",
					  "example.com",
					  "ftp://example.com/",
					  "https://",
					  "https:///x",
					  "https://user:pw@example.com/",
					  "https://exa mple.com/",
					  "https://example.com/\r\n",
					  "https://example.com:0/",
					  "https://example.com:65536/",
					  "https://example.com:/",
					  "https://[::1/",
					  "https://[]/",
					  "https://exämple.com/",
					  "https://a..b/"};
	(void)unused;
	assert_normal(ADDRESS_URL, "HTTPS://Example.COM:8443/Hook?a=B#part",
		      "https://example.com:8443/Hook?a=B");
	assert_normal(ADDRESS_URL, "http://127.0.0.1:8080", "http://127.0.0.1:8080");
	assert_normal(ADDRESS_URL, "https://[2001:DB8::1]:443/x", "https://[2001:db8::1]:443/x");
	assert_normal(ADDRESS_URL, "https://example.com/@me?x=1/2", "https://example.com/@me?x=1/2");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_normal(ADDRESS_URL, bad[i], NULL);
	char *longest = xasprintf("https://a.example/%0*d", ADDRESS_VALUE_MAX - 17, 0);
	assert_normal(ADDRESS_URL, longest, NULL);
	longest[ADDRESS_VALUE_MAX] = '\0';
	assert_normal(ADDRESS_URL, longest, longest);
	free(longest);
}

static void any_other_address_is_a_short_text(void **unused)
{
	(void)unused;
	assert_normal(ADDRESS_TEXT, "Ana's pager №7", "Ana's pager №7");
	assert_normal(ADDRESS_TEXT, "", NULL);
	assert_normal(ADDRESS_TEXT, "a\tb", NULL);
	assert_normal(ADDRESS_TEXT, "a\xc2\x85z", NULL);
	assert_normal(ADDRESS_TEXT, "\xff", NULL);
	char *longest = xasprintf("%0513d", 0);
	assert_normal(ADDRESS_TEXT, longest, NULL);
	assert_normal(ADDRESS_TEXT, longest + 1, longest + 1);
	free(longest);
}

static void masks_show_only_what_the_contract_lets_through(void **unused)
{
	static const char *const masks[][2] = {
		{"+5491155550100", "+549…0100"},
		{"+1234567", "+1…67"},
		{"+12345", "…"},
		{"ana@example.com", "a…@example.com"},
		{"ñ@example.com", "ñ…@example.com"},
		{"https://example.com:8443/hook?token=x", "https://example.com:8443"},
		{"https://user:pw@example.com/", "https://example.com"},
		{"https://example.com/a@b", "https://example.com"},
		{"Anas pager", "An…er"},
		{"ñandúññ", "ña…ññ"},
		{"pager", "…"},
		{"", "…"},
	};
	(void)unused;
	for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
		char *mask = address_mask(masks[i][0]);
		assert_string_equal(mask, masks[i][1]);
		free(mask);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_customer_is_given_back_as_it_was_put),
		cmocka_unit_test(secrets_are_shown_only_to_who_may_see_them),
		cmocka_unit_test(merging_changes_only_what_is_named),
		cmocka_unit_test(a_secret_that_is_not_named_stays_with_its_address),
		cmocka_unit_test(a_mistake_names_its_field_and_what_would_be_right),
		cmocka_unit_test(a_secret_that_cannot_sign_is_refused),
		cmocka_unit_test(addresses_secrets_and_names_have_bounds),
		cmocka_unit_test(the_first_usable_address_is_found),
		cmocka_unit_test(email_is_kept_with_its_domain_in_lower_case),
		cmocka_unit_test(phone_numbers_are_plus_and_digits),
		cmocka_unit_test(a_national_number_is_taken_only_as_the_configuration_says),
		cmocka_unit_test(an_error_says_how_a_number_would_be_right),
		cmocka_unit_test(urls_are_http_with_a_host),
		cmocka_unit_test(any_other_address_is_a_short_text),
		cmocka_unit_test(masks_show_only_what_the_contract_lets_through),
	};
	xalloc_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "net_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

static void an_endpoint_is_a_host_and_a_port(void **state)
{
	static const struct {
		const char *words, *host; /* NULL: it is none */
		int port;
		bool local;
	} cases[] = {
		{"127.0.0.1:8480", "127.0.0.1", 8480, true},
		{"[::1]:8480", "::1", 8480, true},
		{"localhost:1", "localhost", 1, true},
		{"0.0.0.0:65535", "0.0.0.0", 65535, false},
		{"[::]:80", "::", 80, false},
		{"m.example.com:80", "m.example.com", 80, false},
		{"127.0.0.1", NULL, 0, false},
		{"127.0.0.1:", NULL, 0, false},
		{"127.0.0.1:0", NULL, 0, false},
		{"127.0.0.1:65536", NULL, 0, false},
		{"127.0.0.1:+80", NULL, 0, false},
		{"127.0.0.1:80x", NULL, 0, false},
		{"::1:80", NULL, 0, false},
		{"[]:80", NULL, 0, false},
		{":80", NULL, 0, false},
		{"", NULL, 0, false},
	};
	struct net_endpoint endpoint;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (net_endpoint_parse(cases[i].words, &endpoint) != (cases[i].host != NULL))
			fail_msg("%s", cases[i].words);
		if (!cases[i].host)
			continue;
		assert_string_equal(endpoint.host, cases[i].host);
		assert_int_equal(endpoint.port, cases[i].port);
		assert_int_equal(net_endpoint_is_local(&endpoint), cases[i].local);
	}
}

static void a_network_has_its_addresses_in_either_family(void **state)
{
	static const struct {
		const char *range, *address;
		bool has;
	} cases[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"192.168.1.128/25", "192.168.1.127", false},
		{"192.168.1.128/25", "192.168.1.200", true},
		{"192.168.1.7", "192.168.1.7", true},
		{"192.168.1.7", "192.168.1.8", false},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "8.8.8.8", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"::1", "::1", true},
		{"::1", "not an address", false},
	};
	struct net_range range;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(net_range_parse(cases[i].range, &range));
		if (net_ranges_have(&range, 1, cases[i].address) != cases[i].has)
			fail_msg("%s in %s", cases[i].address, cases[i].range);
	}
	assert_false(net_range_parse("10.0.0.0/33", &range));
	assert_false(net_range_parse("::/129", &range));
	assert_false(net_range_parse("10.0.0.0/", &range));
	assert_false(net_range_parse("10.0.0/8", &range));
	assert_false(net_range_parse("", &range));
}

static const char *behind(const char *peer, const char *forwarded)
{
	static char out[NET_ADDRESS_TEXT];
	struct net_range trusted[2];

	assert_true(net_range_parse("10.0.0.0/8", &trusted[0]) && net_range_parse("::1", &trusted[1]));
	net_peer_behind(trusted, 2, peer, forwarded, out);
	return out;
}

static void only_a_trusted_proxy_speaks_for_others(void **state)
{
	(void)state;
	assert_string_equal(behind("192.0.2.1", "198.51.100.7"), "192.0.2.1");
	assert_string_equal(behind("10.0.0.1", "198.51.100.7"), "198.51.100.7");
	assert_string_equal(behind("10.0.0.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7");
	assert_string_equal(behind("10.0.0.1", "203.0.113.9, 198.51.100.7 ,10.0.0.2"), "198.51.100.7");
	assert_string_equal(behind("::1", "2001:db8::7"), "2001:db8::7");
	assert_string_equal(behind("10.0.0.1", ""), "10.0.0.1");
	assert_string_equal(behind("10.0.0.1", "10.0.0.3"), "10.0.0.3");
	assert_string_equal(behind("10.0.0.1", "me, 10.0.0.3"), "10.0.0.3");
	assert_string_equal(behind("10.0.0.1", ",,,"), "10.0.0.1");
	assert_string_equal(behind("10.0.0.1", "1111111111111111111111111111111111111111111111111111111"),
			    "10.0.0.1");
}

static void addresses_are_shown_as_people_write_them(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr other = {.sa_family = AF_UNIX};
	char text[NET_ADDRESS_TEXT];

	(void)state;
	inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr);
	net_address_text((struct sockaddr *)&v4, text);
	assert_string_equal(text, "192.0.2.7");
	inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr);
	net_address_text((struct sockaddr *)&v6, text);
	assert_string_equal(text, "192.0.2.7");
	inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr);
	net_address_text((struct sockaddr *)&v6, text);
	assert_string_equal(text, "2001:db8::7");
	net_address_text(&other, text);
	assert_string_equal(text, "");
	assert_true(net_is_loopback("127.8.9.1") && net_is_loopback("::1") && !net_is_loopback("128.0.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_endpoint_is_a_host_and_a_port),
		cmocka_unit_test(a_network_has_its_addresses_in_either_family),
		cmocka_unit_test(only_a_trusted_proxy_speaks_for_others),
		cmocka_unit_test(addresses_are_shown_as_people_write_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

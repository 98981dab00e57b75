#include "net_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "banned.h"

#define MAPPED_BITS 96 /* what stands before an IPv4 address in IPv6 */

bool net_endpoint_parse(const char *words, struct net_endpoint *out)
{
	const char *colon = strrchr(words, ':'), *host = words;
	size_t len = colon ? (size_t)(colon - words) : 0;
	char *end;

	if (len > 2 && *words == '[' && colon[-1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(words, ':', len) || memchr(words, '[', len)) {
		return false; /* IPv6 without brackets: which is the port? */
	}
	if (!len || len > NET_HOST_MAX || colon[1] < '0' || colon[1] > '9')
		return false;
	long port = strtol(colon + 1, &end, 10);
	if (*end || port < 1 || port > 65535)
		return false;
	memcpy(out->host, host, len);
	out->host[len] = '\0';
	out->port = (int)port;
	return true;
}

bool net_endpoint_is_local(const struct net_endpoint *endpoint)
{
	return strcmp(endpoint->host, "localhost") == 0 || net_is_loopback(endpoint->host);
}

static void map4(const void *four, unsigned char out[16])
{
	static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};

	memcpy(out, prefix, sizeof prefix);
	memcpy(out + sizeof prefix, four, 4);
}

static bool is_mapped(const unsigned char bytes[16])
{
	unsigned char same[16];

	map4(bytes + 12, same);
	return memcmp(same, bytes, sizeof same) == 0;
}

void net_address_text(const struct sockaddr *address, char out[NET_ADDRESS_TEXT])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	const char *done = NULL;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof v4);
		done = inet_ntop(AF_INET, &v4.sin_addr, out, NET_ADDRESS_TEXT);
	} else if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof v6);
		const unsigned char *bytes = v6.sin6_addr.s6_addr;
		done = is_mapped(bytes) ? inet_ntop(AF_INET, bytes + 12, out, NET_ADDRESS_TEXT)
					: inet_ntop(AF_INET6, bytes, out, NET_ADDRESS_TEXT);
	}
	if (!done)
		*out = '\0';
}

/* *is4: it was written as IPv4. */
static bool address_read(const char *words, unsigned char out[16], bool *is4)
{
	struct in_addr v4;
	struct in6_addr v6;

	*is4 = inet_pton(AF_INET, words, &v4) == 1;
	if (*is4)
		map4(&v4, out);
	else if (inet_pton(AF_INET6, words, &v6) == 1)
		memcpy(out, &v6, 16);
	else
		return false;
	return true;
}

bool net_is_loopback(const char *address)
{
	static const unsigned char one[16] = {[15] = 1};
	unsigned char bytes[16];
	bool is4;

	return address_read(address, bytes, &is4) &&
	       (memcmp(bytes, one, sizeof one) == 0 || (is_mapped(bytes) && bytes[12] == 127));
}

bool net_range_parse(const char *words, struct net_range *out)
{
	char address[NET_ADDRESS_TEXT];
	size_t len = strcspn(words, "/");
	bool is4;
	char *end;

	if (len >= sizeof address)
		return false;
	memcpy(address, words, len);
	address[len] = '\0';
	if (!address_read(address, out->bytes, &is4))
		return false;
	out->bits = 128;
	if (!words[len])
		return true;
	if (words[len + 1] < '0' || words[len + 1] > '9')
		return false;
	long bits = strtol(words + len + 1, &end, 10);
	if (*end || bits > (is4 ? 32 : 128))
		return false;
	out->bits = (int)bits + (is4 ? MAPPED_BITS : 0);
	return true;
}

static bool range_has(const struct net_range *range, const unsigned char bytes[16])
{
	int whole = range->bits / 8, rest = range->bits % 8;
	unsigned char mask = (unsigned char)(0xff00 >> rest);

	return memcmp(range->bytes, bytes, (size_t)whole) == 0 &&
	       (!rest || (range->bytes[whole] & mask) == (bytes[whole] & mask));
}

bool net_ranges_have(const struct net_range *ranges, size_t count, const char *address)
{
	unsigned char bytes[16];
	bool is4;

	if (!address_read(address, bytes, &is4))
		return false;
	for (size_t i = 0; i < count; i++)
		if (range_has(&ranges[i], bytes))
			return true;
	return false;
}

/* The last of a list of words; *len is what is left before it. False: it is too long for an address. */
static bool last_word(const char *list, size_t *len, char out[NET_ADDRESS_TEXT])
{
	size_t end = *len, begin;

	while (end && (list[end - 1] == ' ' || list[end - 1] == '\t'))
		end--;
	for (begin = end; begin && list[begin - 1] != ',';)
		begin--;
	*len = begin ? begin - 1 : 0;
	while (begin < end && (list[begin] == ' ' || list[begin] == '\t'))
		begin++;
	if (begin == end || end - begin >= NET_ADDRESS_TEXT)
		return false;
	memcpy(out, list + begin, end - begin);
	out[end - begin] = '\0';
	return true;
}

void net_peer_behind(const struct net_range *trusted, size_t count, const char *peer, const char *forwarded,
		     char out[NET_ADDRESS_TEXT])
{
	char word[NET_ADDRESS_TEXT];
	unsigned char bytes[16];
	size_t left = strlen(forwarded);
	bool is4;

	snprintf(out, NET_ADDRESS_TEXT, "%s", peer);
	while (left && net_ranges_have(trusted, count, out) && last_word(forwarded, &left, word) &&
	       address_read(word, bytes, &is4))
		memcpy(out, word, sizeof word);
}

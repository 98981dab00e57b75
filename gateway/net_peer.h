/* Who is at the other end: addresses as text, networks that are trusted, and whom a trusted proxy speaks for.
 * Pure. */
#ifndef HEED_NET_PEER_H
#define HEED_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define NET_ADDRESS_TEXT 46 /* INET6_ADDRSTRLEN */
#define NET_HOST_MAX 255

/* "127.0.0.1:8480", "[::1]:8480", "localhost:8480". */
struct net_endpoint {
	char host[NET_HOST_MAX + 1]; /* without brackets */
	int port;
};
bool net_endpoint_parse(const char *words, struct net_endpoint *out);
/* Does the host name this machine alone? Asks no name server. */
bool net_endpoint_is_local(const struct net_endpoint *endpoint);

/* The address as text, "" where it is none. IPv4 that came over an IPv6 socket is shown as IPv4. */
void net_address_text(const struct sockaddr *address, char out[NET_ADDRESS_TEXT]);
bool net_is_loopback(const char *address);

/* An address or a network: "10.0.0.0/8", "::1". */
struct net_range {
	unsigned char bytes[16]; /* IPv4 as mapped into IPv6 */
	int bits;
};
bool net_range_parse(const char *words, struct net_range *out);
bool net_ranges_have(const struct net_range *ranges, size_t count, const char *address);

/* Who asked: from the right of X-Forwarded-For (`forwarded`, may be "") the first that is no trusted proxy,
 * where `peer` is one. What does not read as an address ends the search at the last one that did. */
void net_peer_behind(const struct net_range *trusted, size_t count, const char *peer, const char *forwarded,
		     char out[NET_ADDRESS_TEXT]);

#endif
